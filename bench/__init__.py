"""Measurements. Each program prints a table and ends with one line of JSON; none belongs to the tests."""
