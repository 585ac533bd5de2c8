#!/usr/bin/env perl

# The text of the state file: every bit another, cut at every byte, and what it
# may not hold.

use strict;
use warnings;

use FindBin;
use File::Temp ();
use Test::More;

chdir "$FindBin::Bin/.." or die;

my $nginx = '/usr/share/nginx/src';

plan skip_all => 'no headers of nginx' if !-d $nginx || !-d 'build/debian';
plan tests => 2;

my $dir = File::Temp::tempdir(CLEANUP => 1);

my @sources = ('t/lib/state_bytes.c', glob('src/base/*.c'),
               map { "src/state/ngx_helix_$_.c" } qw(state state_print counts));
my @headers = map { "-I$_" } 'build/debian', glob('src/{base,state}'),
                  glob "$nginx/src/{core,event,event/modules,os/unix}";

my @cc = (qw(gcc -O2 -w -D_GNU_SOURCE -ffunction-sections),
          "-Wl,--gc-sections", @headers);

my $out = qx{@cc -o $dir/bytes @sources -lm 2>&1};

is($out, '', 'it is compiled');

$out = qx{$dir/bytes 2>&1};

my ($bytes, $wrong) = $out =~ /^(\d+) bytes, (\d+) wrong$/m;

is($wrong, 0, ($bytes // 0) . ' bytes: refused, or the same')
    or diag(substr $out, 0, 2000);
