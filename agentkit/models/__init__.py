"""Models by name: each adapter is a module here, imported when a name of its kind is first asked for."""
