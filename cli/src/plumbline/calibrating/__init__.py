"""Hold a judge against gold: read the gold set, ask the judge, let the analyzer say what that means."""
