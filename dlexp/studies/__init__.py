"""The studies that come with dlexp: question, claims, figures, a file each; conf/study says what is run."""
