"""Stand-in for osteotl.statistics."""
