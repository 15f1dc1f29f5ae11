"""Stand-in for osteotl.report."""
