#!/usr/bin/env perl

# What can be said about the text of the sources: layout, names, and who may
# include whom.

use strict;
use warnings;

use File::Find;
use FindBin;
use Test::More;

chdir "$FindBin::Bin/.." or die;

my %may_include = (
    base   => [qw(base)],
    kinds  => [qw(base kinds)],
    policy => [qw(base policy)],
    state  => [qw(base state)],
    exec   => [qw(base kinds policy state exec)],
    http   => [qw(base kinds policy state exec http top)],
    top    => [qw(base kinds policy state exec http top)],
);

my %no_nginx = map { $_ => 1 } qw(base kinds policy);

my %folder;
my %wrong;

find({ no_chdir => 1, wanted => sub {
    return unless m|\Asrc/(?:(\w+)/)?.*?(\w+\.[ch])\z|;

    $folder{$_} = $1 // 'top';
} }, 'src') if -d 'src';

my %home = map { m|([^/]+)\z|, $folder{$_} } keys %folder;

for my $file (sort keys %folder) {
    open my $fh, '<:encoding(UTF-8)', $file or die "$file: $!";
    my @lines = <$fh>;
    close $fh;

    layout($file, @lines);
    includes($file, @lines);
    code($file, strip(join '', @lines));
}

my @rules = (
    'lines have at most 80 columns',
    'no tabs',
    'no blanks at the end of a line',
    'no // comments',
    'files have at most 700 lines',
    'functions have at most 80 lines',
    'two blank lines after a function',
    'folders of src/ are known',
    'includes point downwards',
    'no nginx in base, kinds and policy, no ngx_http in state and exec',
    'no calls that have no place here',
    'symbols are prefixed',
    'no unfinished work',
    'nothing else on the top level',
);

for my $path (ls_files()) {
    my ($top) = split m|/|, $path;

    wrong('nothing else on the top level', $path)
        if $top !~ /^(?:config|src|t|conf|docs|README\.md|LICENSE|\..*)$/;
}

plan tests => 1 + @rules;

ok(scalar keys %folder, 'there are sources');

for my $rule (@rules) {
    my @wrong = @{delete $wrong{$rule} || []};

    ok(!@wrong, $rule) or diag(map { "$_\n" } @wrong);
}

die join ', ', keys %wrong if %wrong;


sub wrong {
    my ($rule, @where) = @_;

    push @{$wrong{$rule}}, join ':', @where;
}


sub layout {
    my ($file, @lines) = @_;

    wrong('files have at most 700 lines', $file, scalar @lines)
        if @lines > 700;

    my $n = 0;

    for my $line (@lines) {
        $n++;
        chomp(my $text = $line);

        wrong('lines have at most 80 columns', $file, $n)
            if length $text > 80;

        wrong('no tabs', $file, $n) if $text =~ /\t/;

        wrong('no blanks at the end of a line', $file, $n)
            if $text =~ /\s\z/;

        wrong('no unfinished work', $file, $n)
            if $text =~ /\b(?:TO[D]O|FIX[M]E|X{3}|HA[C]K)\b/;
    }
}


sub includes {
    my ($file, @lines) = @_;

    my $from = $folder{$file};
    my $may = $may_include{$from};
    my $n = 0;

    return wrong('folders of src/ are known', $file) if !$may;

    for my $line (@lines) {
        $n++;
        my ($name) = $line =~ /^\s*#\s*include\s*[<"]([^>"]+)[>"]/ or next;
        $name =~ s|.*/||;

        if (my $to = $home{$name}) {
            wrong('includes point downwards', $file, $n, $name)
                if !grep { $_ eq $to } @$may;

        } elsif ($line =~ /"/) {
            wrong('includes point downwards', $file, $n, "$name is not here");
        }

        wrong('no nginx in base, kinds and policy, no ngx_http in state and '
              . 'exec', $file, $n, $name)
            if $name =~ /^(?:ngx|nginx)/ && $no_nginx{$from}
               || $name =~ /^ngx_http/ && $from =~ /^(?:state|exec)$/;
    }
}


# Comments, the content of strings and continued macros become blank, lines
# stay where they are.

sub strip {
    my ($text) = @_;

    my $blank = sub { (my $s = $_[0]) =~ s/[^\n]/ /g; $s };

    $text =~ s{
        ( /\*.*?\*/ )
        | ( "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    }{
        defined $1 ? $blank->($1) : '"' . ' ' x (length($2) - 2) . '"'
    }gsex;

    return $text;
}


sub code {
    my ($file, $text) = @_;

    my @lines = split /\n/, $text;
    my ($n, $start, $head) = (0, 0, '');

    for my $line (@lines) {
        $n++;

        wrong('no // comments', $file, $n) if $line =~ m|//|;

        wrong('no calls that have no place here', $file, $n, $1)
            if $line =~ /\b(strcpy|strcat|v?sprintf|atoi|strtod|alloca|system
                            |popen|gmtime|localtime)\s*\(/x;

        wrong('no nginx in base, kinds and policy, no ngx_http in state and '
              . 'exec', $file, $n, $1)
            if $no_nginx{$folder{$file}} && $line =~ /\b(ngx_\w+)/;
    }

    # a macro's lines are no code of a function

    $text =~ s{^(\s*#(?:[^\n]*\\\n)*[^\n]*)}
              {(my $s = $1) =~ s/[^\n]//g; $s}gem;

    my @code = split /\n/, $text;

    for ($n = 1; $n <= @code; $n++) {
        my $line = $code[$n - 1];

        if (!$start && $line =~ /^\{/) {
            $start = $n;
            symbol($file, $n, $head);

        } elsif ($start && $line =~ /^\}/) {
            wrong('functions have at most 80 lines', $file, $start,
                  $n - $start - 1)
                if $n - $start - 1 > 80;

            after($file, $n, @lines[$n .. $#lines]) if $line =~ /^\}\s*$/;

            ($start, $head) = (0, '');

        } elsif (!$start) {
            $head = $line =~ /^\s*$|[;}]/ ? '' : "$head $line";
        }
    }
}


sub after {
    my ($file, $n, @next) = @_;

    my $blank = 0;

    # comments are blank here: what follows them is seen in the file itself

    open my $fh, '<', $file or die "$file: $!";
    my @raw = (<$fh>)[$n .. $n + 3];

    $blank++ while defined $raw[$blank] && $raw[$blank] =~ /^\s*$/;

    return if !grep { /\S/ } @next;
    return if ($raw[$blank] // '') =~ /^#/ && $blank;

    wrong('two blank lines after a function', $file, $n) if $blank != 2;
}


sub symbol {
    my ($file, $n, $head) = @_;

    $head =~ s/__attribute__\s*(\((?:[^()]++|(?1))*\))//g;

    return if $head =~ /\bstatic\b/ || $head =~ /=\s*$/;

    my ($name) = $head =~ /(\w+)\s*\(/ or return;

    wrong('symbols are prefixed', $file, $n, $name)
        if $name !~ /^(?:ngx_|ngx_http_)?helix_/;
}


sub ls_files {
    return if !-e '.git';

    open my $fh, '-|', 'git', '-c', "safe.directory=$FindBin::Bin", 'ls-files'
        or return;
    chomp(my @files = <$fh>);

    return @files;
}
