#!/usr/bin/env perl

# The control block of the zone over thousands of processes that are killed
# while they change it.

use strict;
use warnings;

use FindBin;
use File::Temp ();
use Test::More;

chdir "$FindBin::Bin/.." or die;

my $nginx = '/usr/share/nginx/src';

plan skip_all => 'no headers of nginx' if !-d $nginx || !-d 'build/debian';
plan tests => 4;

my $dir = File::Temp::tempdir(CLEANUP => 1);

my @sources = ('t/lib/control_crash.c',
               map { "src/state/ngx_helix_$_.c" } qw(control process));
my @headers = map { "-I$_" } 'build/debian', glob('src/{base,state}'),
                  glob "$nginx/src/{core,event,event/modules,os/unix}";

my $out = qx{gcc -O2 -w -D_GNU_SOURCE @headers -o $dir/crash @sources 2>&1};

is($out, '', 'it is compiled');

$out = qx{$dir/crash 600};

my ($wrong, $inside, $version, $last)
    = $out =~ /^(\d+) wrong, (\d+) killed inside, (\d+) changes, .* (\d+)$/;

is($wrong, 0, 'nothing half done is seen') or diag($out);
cmp_ok($inside // 0, ">", 5, "$inside of 600 were killed in the middle");
is($last, $version, "$version changes, none lost, none twice");
