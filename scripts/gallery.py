"""Bring docs/gallery.md up to date: python scripts/gallery.py, after `make studies`"""

import sys

from dlexp.cli.gallery import main

if __name__ == "__main__":
    sys.exit(main())
