"""Seating: places, crews, wishes, and the board they are arranged on."""
