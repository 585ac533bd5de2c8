# Style sheets in one line, without the blanks that mean nothing.
:a
N
$!ba
s/\n/ /g
s/ *\([{};,]\) */\1/g
s/: */:/g
s/;}/}/g
