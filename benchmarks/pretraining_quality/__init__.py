"""What each way of pre-training is good for, beside what one has without it.

`__main__.py` is the command and the table, `rows.py` what is measured and kept; then `digits.py`,
`fashion.py`, `text.py`: the measurements themselves.
"""
