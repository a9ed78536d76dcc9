"""What a job leaves on disk, written whole or not at all; nothing here knows of training or studies."""
