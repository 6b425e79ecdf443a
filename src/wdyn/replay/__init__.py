"""File → model: a recorded step runs again, without the code that defined it."""
