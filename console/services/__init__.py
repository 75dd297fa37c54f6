"""What happens: one module a noun, verb-first functions. They lock, check, move, audit and notify; they flush
and never commit. None of them knows flask."""
