"""Lightning callbacks that call measures on a schedule; their names are those of the measures."""
