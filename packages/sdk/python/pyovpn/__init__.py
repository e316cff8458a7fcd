"""The package that Access Server's post-auth scripts import from, as far as they need it."""
