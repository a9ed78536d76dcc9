"""Make a sweep's tables and figures anew from disk: python scripts/report.py outputs/NAME"""

import sys

from dlexp.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
