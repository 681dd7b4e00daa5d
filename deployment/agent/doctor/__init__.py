"""What is wrong at a region, and what to do: each check is a function that returns a finding."""
