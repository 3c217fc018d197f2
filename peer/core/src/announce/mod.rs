//! When to announce to which tracker (BEP 3, 12, 15).
