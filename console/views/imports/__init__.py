"""Import of CSV and XLSX files: looked at row by row first, then done all or nothing.

`kinds` says per table what is imported and how a record is found again; everything else is the same for all.
"""
