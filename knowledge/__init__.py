"""What we know: product facts, documents and the search over them. Imports nothing of ours."""
