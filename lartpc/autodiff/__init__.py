"""The tape and its launcher. Knows no physics."""
