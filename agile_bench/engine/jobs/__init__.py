"""What a child process computes, one module per group of artefact kinds.

They are apart so that an edit invalidates only what it can change: a module's import closure is part of the address of
everything it makes. Each kind is a function ``(Job) -> (arrays, meta)``.
"""
