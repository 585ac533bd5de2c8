# Scripts without the blanks around operators, of which no text in them has
# any.
s/ \([=!]==\) /\1/g
s/ \(=>\) /\1/g
s/ \([=?:<]\) /\1/g
s/ && /\&\&/g
s/ || /||/g
s/{ /{/g
s/ \([{}]\)/\1/g
s/^for (/for(/
s/^if (/if(/
