"""Stand-in for osteotl.cohorts."""
