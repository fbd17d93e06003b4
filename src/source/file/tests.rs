//! Whole histories of files, step by step.
