"""Stand-in for osteotl.detection."""
