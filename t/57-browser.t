#!/usr/bin/env perl

# The dashboard in a browser: with a script and without, in both themes, on a
# narrow screen, by keyboard, and what a screen reader is told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

plan skip_all => 'no chromium: apt-get install chromium'
    if !grep { -x "$_/chromium" } split /:/, $ENV{PATH};

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_pool concurrency=2 queue=64;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
        }

        location /helix {
            helix_status write=on;
        }

        location /read/ {
            helix_status;
        }
    }
}
END

$t->start;

my $url = 'http://127.0.0.1:' . $t->port;
my $start = time;

open my $fh, '-|', '/usr/bin/python3', "$FindBin::Bin/lib/dashboard.py",
    "$url/helix/", "$url/read/", "$url/jobs?" or die "python3: $!";

my $end = 0;

while (my $line = <$fh>) {
    chomp $line;

    if ($line =~ /^ok /) {
        ok(1, $line =~ s/^ok //r);

    } elsif ($line =~ /^not ok (.*)/) {
        ok(0, $1);

    } elsif ($line eq 'end') {
        $end = 1;
    }
}

close $fh;

ok($end, 'to the end');

cmp_ok(time - $start, '<', 60 * Helix::SLOW, 'in a minute');
