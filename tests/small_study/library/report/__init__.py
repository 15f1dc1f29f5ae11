"""Stand-in for osteotl.reporting."""
