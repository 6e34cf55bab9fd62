"""Where the tasks of the language world come from: one module a source."""
