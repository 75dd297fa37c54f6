"""The `flask` commands, one module a group."""
