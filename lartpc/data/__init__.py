"""Tables of segments, hits and what belongs to them: columns, no file, no kernel."""
