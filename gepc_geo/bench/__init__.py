"""Speed and memory, side by side with what each part replaces."""
