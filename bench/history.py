"""Fills the database that DATABASE_URL names with a long history: `python -m bench.history ROWS`."""

import sys

from bench.admin_lists import fill_all

if __name__ == "__main__":
    fill_all(int(sys.argv[1]))
