package Exposition;

# What is wrong with a text of metrics, by the letter of Prometheus' text
# format 0.0.4 or of OpenMetrics 1.0: a list, empty if nothing is.
#
#     my ($families, @wrong) = Exposition::check($text, $openmetrics);
#
# Families by name: { type, samples => { 'name{labels}' => value },
# exemplars => { 'name{labels}' => { labels, value, time } } }.

use strict;
use warnings;

my $NAME = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $PAIR = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"/;
my $SET = qr/\{(?:$PAIR(?:,$PAIR)*)?\}/;
my $REAL = qr/[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/i;
my $NUMBER = qr/(?:$REAL|[+-]Inf|NaN)/;

my %SUFFIX = (
    counter   => ['_total'],
    gauge     => [''],
    summary   => ['', '_sum', '_count'],
    histogram => ['_bucket', '_sum', '_count'],
);


sub check {
    my ($text, $openmetrics) = @_;

    my (%family, @wrong, $current, %help);

    push @wrong, 'the last line does not end' if $text !~ /\n\z/;

    my @lines = split /\n/, $text, -1;
    pop @lines;

    @lines = () if $text eq "\n";

    if ($openmetrics) {
        push @wrong, 'no "# EOF" at the end' if pop @lines ne '# EOF';
    }

    for my $line (@lines) {

        if ($line =~ /^# HELP ($NAME) (.+)\z/) {
            push @wrong, "two HELP: $1" if $help{$1}++;
            push @wrong, "HELP after samples: $1" if $family{$1};
            push @wrong, "HELP not escaped: $1"
                if $2 =~ /\\(?![\\n"])/ || ($openmetrics && $2 =~ /(?<!\\)"/);
            next;
        }

        if ($line =~ /^# TYPE ($NAME) (\w+)\z/) {
            push @wrong, "two TYPE: $1" if $family{$1};
            push @wrong, "unknown type: $line" if !$SUFFIX{$2};
            push @wrong, "TYPE without HELP: $1" if !$help{$1};

            $current = $1;
            $family{$current} = { type => $2, samples => {}, order => [],
                                  exemplars => {} };

            push @wrong, "a counter that ends in _total: $1"
                if $2 eq 'counter' && ($1 =~ /_total\z/ xor !$openmetrics);
            next;
        }

        if ($line =~ /^#/ || $line eq '') {
            push @wrong, "not a line of the format: \"$line\"";
            next;
        }

        push @wrong, sample($family{$current // ''}, $current, $line,
                            $openmetrics);
    }

    for my $name (sort keys %family) {
        push @wrong, "no samples: $name"
            if !%{$family{$name}{samples}} && $name ne 'helix_approximated'
               && $name ne 'helix_approximated_total';
        push @wrong, histogram($name, $family{$name})
            if $family{$name}{type} eq 'histogram';
    }

    return \%family, @wrong;
}


sub sample {
    my ($family, $current, $line, $openmetrics) = @_;

    my ($name, $set, $value, $exemplar)
        = $line =~ /^($NAME)($SET)? ($NUMBER)(?: # (.*))?\z/
        or return "not a sample: $line";

    return "before any TYPE: $line" if !$family;

    my @wrong;
    my $type = $family->{type};
    my $base = $current;

    $base =~ s/_total\z// if $type eq 'counter';

    my ($suffix) = grep { $name eq $base . $_ } @{$SUFFIX{$type}};

    return "not of $current: $line" if !defined $suffix;

    my $key = $name . ($set // '');

    push @wrong, "twice: $key" if exists $family->{samples}{$key};
    push @wrong, "below zero: $line"
        if $value =~ /^-|NaN/ && $type ne 'gauge'
           && !($type eq 'summary' && $suffix eq '');

    $family->{samples}{$key} = $value;
    push @{$family->{order}}, $key;

    my %seen;
    push @wrong, grep { defined } map {
        $seen{$_}++ ? "label $_ twice: $line" : undef
    } ($set // '') =~ /(\w+)="/g;

    if (defined $exemplar) {
        push @wrong, exemplar($family, $key, $suffix, $exemplar, $openmetrics);
    }

    return @wrong;
}


sub exemplar {
    my ($family, $key, $suffix, $text, $openmetrics) = @_;

    return "an example of $key" if !$openmetrics || $suffix !~ /_bucket|_total/;

    my ($set, $value, $time)
        = $text =~ /^($SET) ($REAL)(?: (\d+(?:\.\d+)?))?\z/
        or return "not an example: $text";

    my %labels = $set =~ /(\w+)="([^"]*)"/g;
    my $length = length join '', %labels;
    my ($le) = $key =~ /,le="([^"]+)"/;

    $family->{exemplars}{$key} = { labels => \%labels, value => $value,
                                   time => $time };

    return ($length > 128 ? "an example of $length characters: $text" : (),
            defined $le && $le ne '+Inf' && $value > $le
                ? "not in its bucket: $key $text" : ());
}


# Buckets in ascending order, growing, up to all; edges as OpenMetrics writes
# them.

sub histogram {
    my ($name, $family) = @_;

    my (%of, @wrong);

    for my $key (@{$family->{order}}) {
        my ($labels, $le) = $key =~ /^\Q${name}\E_bucket\{(.*),le="(.*)"\}\z/;

        if (defined $le) {
            push @{$of{$labels}}, [$le, $family->{samples}{$key}];
            push @wrong, "edge $le of $name"
                if $le !~ /^(?:\d+\.0|\d+\.\d*[1-9]|\+Inf)\z/;
        }
    }

    for my $labels (keys %of) {
        my ($last, $n) = (-1, 0);

        for (@{$of{$labels}}) {
            my ($le, $count) = @$_;

            $le = 9**9**9 if $le eq '+Inf';

            push @wrong, "order of the buckets of $name\{$labels}"
                if $le <= $last || $count < $n;
            ($last, $n) = ($le, $count);
        }

        push @wrong, "no +Inf: $name\{$labels}" if $last != 9**9**9;

        my $count = $family->{samples}{"${name}_count{$labels}"};

        push @wrong, "count of $name\{$labels}"
            if !defined $count || $count != $n;
        push @wrong, "no sum of $name\{$labels}"
            if !defined $family->{samples}{"${name}_sum{$labels}"};
    }

    push @wrong, "no buckets: $name" if !%of;

    return @wrong;
}


1;
