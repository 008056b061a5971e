"""The code of the book's pages: recording, claims, figures, and one room per chapter."""
