# What the browser does not need of the files here: indentation, empty lines,
# and comments, of which each begins a line and ends one.
s/^ *//
/^$/d
/^[/][*].*[*][/]$/d
/^[/][*]/,/[*][/]$/d
