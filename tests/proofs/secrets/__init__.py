"""No secret is shown, wherever a server echoes it and however its text is shortened."""
