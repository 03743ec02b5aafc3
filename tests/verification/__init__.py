"""`verify`: it passes right functions and names the mistake of wrong ones."""
