"""What a user's function tells: what it takes and gives, as JSON schemas and back, and which code it is."""
