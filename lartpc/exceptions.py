"""The one exception that a user's wrong input raises."""


class InputError(ValueError):
    """Wrong input: one line that names the file, the field or key, what was found and what is allowed."""
