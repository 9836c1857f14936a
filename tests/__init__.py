"""Tests that need more than one package, and the support that all tests share."""
