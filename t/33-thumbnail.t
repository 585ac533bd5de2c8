#!/usr/bin/env perl

# The kind thumbnail, without nginx: what becomes of images, what is refused,
# what cannot be reached, and that it is a sound kind.

use strict;
use warnings;

use Compress::Zlib ();
use File::Temp;
use FindBin;
use JSON::PP ();
use Test::More;

my $root = "$FindBin::Bin/..";
my $check = "$root/t/kind-check";

chomp(my $flags = qx{pkg-config --cflags vips 2>/dev/null});
chomp(my $libs = qx{pkg-config --libs vips 2>/dev/null});

plan skip_all => 'no libvips-dev' if $libs eq '';

$flags =~ s/-I/-isystem /g;

my $dir = File::Temp->newdir;
my $json = JSON::PP->new->canonical;
my %type = (jpg => 'image/jpeg', png => 'image/png', webp => 'image/webp');

compile('thumbnail.so', '-O2');
is(run("gcc -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror $flags "
       . "-o $dir/images $FindBin::Bin/lib/thumbnail_images.c $libs"), '',
   'the program for the images is built');

mkdir "$dir/root";
is(run("$dir/images $dir/root"), '', 'the images');

my $so = "$dir/thumbnail.so";


# sizes: contain never enlarges, cover and fill give what was asked for

my @sizes = (
    ['rgb.jpg', { width => 100 }, 'jpeg', 100, 75],
    ['rgb.jpg', { height => 30 }, 'jpeg', 40, 30],
    ['rgb.jpg', { width => 100, height => 100 }, 'jpeg', 100, 75],
    ['rgb.jpg', { width => 100, height => 10 }, 'jpeg', 13, 10],
    ['rgb.jpg', { width => 1000 }, 'jpeg', 400, 300],
    ['rgb.jpg', { width => 50, height => 50, fit => 'cover' }, 'jpeg',
     50, 50],
    ['rgb.jpg', { width => 500, height => 400, fit => 'cover' }, 'jpeg',
     500, 400],
    ['rgb.jpg', { width => 50, height => 50, fit => 'fill' }, 'jpeg',
     50, 50],
    ['large.jpg', { width => 160 }, 'jpeg', 160, 120],
    ['large.jpg', { width => 777 }, 'jpeg', 777, 583],
    ['large.jpg', { width => 1 }, 'jpeg', 1, 1],
    ['progressive.jpg', { width => 320, format => 'png' }, 'png', 320, 240],
    ['rgb.png', { width => 100, format => 'png' }, 'png', 100, 75],
    ['interlaced.png', { width => 100 }, 'jpeg', 100, 75],
    ['lossy.webp', { width => 160, format => 'webp' }, 'webp', 160, 120],
    ['lossless.webp', { width => 100, format => 'png' }, 'png', 100, 75],
    ['turned.jpg', { width => 75 }, 'jpeg', 75, 100],
    ['turned.jpg', { width => 80, height => 40, fit => 'cover' }, 'jpeg',
     80, 40],
    ['cmyk.jpg', { width => 100, format => 'png' }, 'png', 100, 75],
    ['grey16.png', { width => 100, format => 'png' }, 'png', 100, 75],
);

write_file('root/turned.jpg', turned(slurp("$dir/root/rgb.jpg")));

for (@sizes) {
    my ($name, $params, $format, $width, $height) = @$_;
    my ($data, $out) = thumbnail($name, $params);

    is_deeply([size($data)], [$format, $width, $height],
              "$name: " . $json->encode($params)) or diag($out);
}


# colours; decoded by way of a PNG answer

my @colours = (
    ['rgb.jpg', {}, [204, 10, 10], [10, 10, 204]],
    ['large.jpg', {}, [204, 10, 10], [10, 10, 204]],
    ['progressive.jpg', {}, [204, 10, 10], [10, 10, 204]],
    ['interlaced.png', {}, [204, 10, 10], [10, 10, 204]],
    ['lossy.webp', {}, [204, 10, 10], [10, 10, 204]],
    ['lossless.webp', {}, [204, 10, 10], [10, 10, 204]],
    ['p3.jpg', {}, [204, 10, 10], [10, 10, 204]],
    ['rgb.jpg', { fit => 'cover' }, [204, 10, 10], [10, 10, 204]],
);

for (@colours) {
    my ($name, $params, $left, $right) = @$_;
    my ($data) = thumbnail($name, { width => 40, height => 30, %$params,
                                    format => 'png' });
    my @pixels = png($data);

    near($pixels[15][4], $left, "$name: on the left");
    near($pixels[15][35], $right, "$name: on the right");
}

{
    my @pixels = png(thumbnail('turned.jpg',
                               { width => 30, format => 'png' }));

    is(scalar @pixels, 40, 'turned: its height');
    near($pixels[4][15], [204, 10, 10], 'turned: on the top');
    near($pixels[35][15], [10, 10, 204], 'turned: at the bottom');

    # what is transparent

    @pixels = png(thumbnail('clear.png', { width => 8, format => 'png' }));
    is($pixels[4][4][3], 0, 'PNG keeps it');

    for my $name ('clear.png', 'clear.webp') {
        write_file('root/white.jpg', thumbnail($name, { width => 8 }));
        @pixels = png(thumbnail('white.jpg',
                                { width => 8, format => 'png' }));
        near($pixels[4][4], [255, 255, 255], "$name: JPEG makes it white");
    }
}


# quality, defaults, metadata

{
    my ($low) = thumbnail('large.jpg', { width => 800, quality => 10 });
    my ($high) = thumbnail('large.jpg', { width => 800, quality => 95 });

    cmp_ok(length $low, '<', length $high, 'a quality');
    like(slurp("$dir/root/turned.jpg"), qr/a secret/, 'with a secret');
    unlike((thumbnail('turned.jpg', { width => 100 }))[0],
           qr/a secret|Exif/, 'which is not in the answer');
    unlike((thumbnail('p3.jpg', { width => 100 }))[0], qr/ICC_PROFILE/,
           'nor is a profile');

    is((size((thumbnail('rgb.png', { width => 10 }, 'format=webp'))[0]))[0],
       'webp', 'format=webp is the default then');
}


# refused before anything is decoded

my $header = slurp("$dir/root/rgb.png");

my @refused = (
    ['rgb.jpg', {}, [], qr/width is missing/],
    ['rgb.jpg', { width => 9, fit => 'cover' }, [], qr/height is missing/],
    ['rgb.jpg', { height => 9, fit => 'fill' }, [], qr/width is missing/],
    ['rgb.jpg', { width => 9, fit => 'stretch' }, [],
     qr/fit is contain, cover or fill/],
    ['rgb.jpg', { width => 9, format => 'gif' }, [],
     qr/format is jpeg, png or webp/],
    ['rgb.jpg', { width => 9, file => 'rgb.jpg' }, ["root=$dir/root"],
     qr/file cannot be named beside a body/],
    ['rgb.jpg', { width => 9, file => 'rgb.jpg' }, [],
     qr/file cannot be named here/],
    ['rgb.jpg', { width => 9 }, ['max_pixels=119999'],
     qr/too many pixels/],
    ['rgb.jpg', { width => 500, height => 500, fit => 'fill' },
     ['max_pixels=240000'], qr/would become an image of too many pixels/],
    ['rgb.jpg', { width => 9 }, ['max_bytes=1000'], qr/too long/],
    ['rgb.gif', { width => 9 }, [], qr/is no JPEG, PNG or WebP/],
    ['rgb.tiff', { width => 9 }, [], qr/is no JPEG, PNG or WebP/],
    [\'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
     { width => 9 }, [], qr/is no JPEG, PNG or WebP/],
    [\'', { width => 9 }, [], qr/is no JPEG, PNG or WebP/],
    [\"\x89PNG\r\n\x1a\n", { width => 9 }, [], qr/without a header/],
    [\substr($header, 0, 32), { width => 9 }, [], qr/without a header/],
    [\(substr($header, 0, 16) . pack('NN', 60000, 60000)
       . substr($header, 24)), { width => 9 }, [], qr/too many pixels/],
    [\(substr($header, 0, 16) . pack('NN', 0xffffffff, 0xffffffff)
       . substr($header, 24)), { width => 9 }, [], qr/too many pixels/],
    [\(substr($header, 0, 16) . pack('NN', 0, 9) . substr($header, 24)),
     { width => 9 }, [], qr/of no size/],
    [\"\xff\xd8\xff", { width => 9 }, [], qr/without a scan/],
    [\"\xff\xd8\xff\xc0\x00\x04\x08\x00", { width => 9 }, [],
     qr/wrong frame/],
    [\("RIFF\0\0\0\0WEBP" . 'x' x 30), { width => 9 }, [],
     qr/without a header/],
    [\("RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" . "\xff" x 20),
     { width => 9 }, [], qr/too many pixels/],
);

for (@refused) {
    my ($image, $params, $pairs, $why) = @$_;
    my ($data, $out) = thumbnail($image, $params, @$pairs);

    is($data, undef, "refused: $why");
    like($out, qr/^# --job .*$why/m, 'and why');
}


# fails in the decoder, which nobody can know before

for (['cut short', \substr(slurp("$dir/root/large.jpg"), 0, 9000)],
     ['no data', \(substr($header, 0, 60) . "\0" x 60)],
     ['two headers', \two_headers()])
{
    my ($data, $out) = thumbnail($_->[1], { width => 100 });

    is($data, undef, "$_->[0]: no answer");
    like($out, qr/^# all of 1 jobs fail/m, "$_->[0]: fails");
    like($out, qr/^# log: thumbnail: the image cannot be decoded/m,
         "$_->[0]: and said so");
}


# files

mkdir "$dir/root/folder";
mkdir "$dir/other";
write_file('other/rgb.jpg', slurp("$dir/root/rgb.jpg"));
write_file('root/folder/rgb.jpg', slurp("$dir/root/rgb.jpg"));
write_file('root/empty.jpg', '');
symlink '../other/rgb.jpg', "$dir/root/out.jpg" or die;
symlink "$dir/other/rgb.jpg", "$dir/root/absolute.jpg" or die;
symlink "$dir/root/rgb.jpg", "$dir/root/absolute2.jpg" or die;
symlink '../other', "$dir/root/out" or die;
symlink 'folder/rgb.jpg', "$dir/root/in.jpg" or die;
system('mkfifo', "$dir/root/fifo") == 0 or die;

for my $name ('rgb.jpg', 'folder/rgb.jpg', './rgb.jpg', 'in.jpg',
              'progressive.jpg', 'lossy.webp', 'rgb.png')
{
    my ($data, $out) = file($name);

    is_deeply([size($data)], ['jpeg', 20, 15], "the file $name")
        or diag($out);
}

my $no_file = 'there is no such file|the file is empty|file is no name';

for my $name ('', '/', '..', '../other/rgb.jpg', 'folder/../rgb.jpg',
              "$dir/root/rgb.jpg", '/etc/passwd', 'folder/..', "rgb.jpg\0",
              "rgb.jpg\0.png", 'out.jpg', 'absolute.jpg', 'absolute2.jpg',
              'out/rgb.jpg', 'empty.jpg', 'fifo', 'folder', '.', 'none.jpg',
              'rgb.jpg/', 'x' x 1024, 'folder/' x 100 . 'rgb.jpg')
{
    my ($data, $out) = file($name);

    is($data, undef, 'no file: ' . $json->encode([substr $name, 0, 40]));
    like($out, qr/^# --job .*: (?:$no_file)/m, 'and said so');
}

{
    my ($data, $out) = file('rgb.gif');

    is($data, undef, 'a file that is none of the three');
    like($out, qr/^# log: thumbnail: it is no JPEG, PNG or WebP image/m,
         'says so');

    ($data, $out) = file('large.jpg', 'max_pixels=1000000');

    is($data, undef, 'a file of too many pixels');
    like($out, qr/^# log: thumbnail: it is an image of too many pixels/m,
         'says so');

    ($data, $out) = answer({ params => { width => 2000, height => 2000,
                                         fit => 'fill', file => 'rgb.jpg' } },
                           "root=$dir/root", 'max_pixels=1000000');
    like($out, qr/^# --job .*would become an image of too many pixels/m,
         'a file that would become one');

    ($data, $out) = file('rgb.jpg', 'max_bytes=5000');
    like($out, qr/the file is empty or too long/, 'a file that is too long');
}


# configuration

for (['quality=0', '"quality" is a number from 1 to 100'],
     ['quality=high', '"quality" is a number from 1 to 100'],
     ['max_pixels=50e6', '"max_pixels" is a number'],
     ['max_bytes=-1', '"max_bytes" is a number'],
     ['max_bytes=99999999999999999999', '"max_bytes" is a number'],
     ['format=gif', '"format" is jpeg, png or webp'],
     ["root=$dir/none", 'No such file or directory'],
     ["root=$so", 'Not a directory'],
     ["root=$dir root=$dir", 'two times "root"'],
     ['size=9', 'there is no "size"'])
{
    my ($pairs, $error) = @$_;

    like(run("$check $so $pairs --only none"), qr/^# .*\Q$error\E/m,
         "refused: $pairs");
}


# the whole of it

my @jobs = map { ('--job', quote($json->encode($_))) } (
    job('large.jpg', { width => 300 }),
    job('progressive.jpg', { width => 300, format => 'webp' }),
    job('interlaced.png', { width => 99, height => 99, fit => 'cover' }),
    job('lossy.webp', { height => 200, format => 'png' }),
    { params => { width => 100, file => 'large.jpg' } },
    { params => { width => 10, file => 'rgb.png' } },
);

my $out = run("$check $so root=$dir/root @jobs");

is($?, 0, 'it is a sound kind') or diag($out);
like($out, qr/^# \d+ answers; work 0\.\d+, time /m, 'with a level');


# headers: rubbish, under sanitizers; libvips itself is not under them

SKIP: {
    compile('asan.so', '-O1 -fsanitize=address,undefined') or skip 'asan', 1;

    $out = run("$check --asan $dir/asan.so root=$dir/root @jobs --only odd");
    is($?, 0, 'odd jobs, with sanitizers') or diag($out);
}

done_testing();


sub compile {
    my ($name, $options) = @_;

    my $out = run("gcc -std=c11 -D_GNU_SOURCE $options -g -fPIC -shared "
                  . '-fvisibility=hidden -Wall -Wextra -Wshadow -Wconversion '
                  . "-Werror -I$root/src/kinds -I$root/src/base $flags "
                  . "-o $dir/$name $root/src/kinds/thumbnail/*.c "
                  . "$root/src/base/helix_number.c $libs -lm");

    return is($out, '', "$name is built");
}


# a name below root/, or a reference to the body

sub job {
    my ($image, $params) = @_;

    my $file = ref $image ? "$dir/body" : "$dir/root/$image";

    write_file('body', $$image) if ref $image;

    return { params => $params, body_file => $file,
             body_type => $type{$file =~ /\.(\w+)$/ ? $1 : ''}
                          // 'image/jpeg' };
}


# the answer, undef if there is none; and what kind-check prints

sub thumbnail {
    my ($image, $params, @pairs) = @_;

    return answer(job($image, $params), @pairs);
}


sub file {
    my ($name, @pairs) = @_;

    return answer({ params => { width => 20, file => $name } },
                  "root=$dir/root", @pairs);
}


sub answer {
    my ($job, @pairs) = @_;

    unlink "$dir/answer";

    my $out = run("$check $so @pairs --job " . quote($json->encode($job))
                  . " --only 'jobs are answered' --save $dir/answer");
    my $data = -e "$dir/answer" ? slurp("$dir/answer") : undef;

    return wantarray ? ($data, $out) : $data;
}


sub quote {
    my ($text) = @_;

    return "'" . ($text =~ s/'/'\\''/gr) . "'";
}


# format, width, height

sub size {
    my ($data) = @_;

    return if !defined $data;

    return ('png', unpack 'x16 NN', $data) if $data =~ /^\x89PNG/;

    if ($data =~ /^RIFF....WEBPVP8 .{10}(....)/s) {
        return ('webp', map { $_ & 0x3fff } unpack 'vv', $1);
    }

    if ($data =~ /^RIFF....WEBPVP8X.{8}(...)(...)/s) {
        return ('webp', map { 1 + unpack 'V', "$_\0" } $1, $2);
    }

    for (my $pos = 2; $pos + 9 < length $data; ) {
        my ($marker, $len, $height, $width)
            = unpack "x$pos x C n x n n", $data;

        return ('jpeg', $width, $height) if ($marker & 0xfe) == 0xc0
                                            || $marker == 0xc2;
        $pos += 2 + $len;
    }

    return;
}


# rows of pixels of a PNG of 8 bits that is not interlaced

sub png {
    my ($data) = @_;

    my ($width, $height, $bits, $colour) = unpack 'x16 N N C C', $data // '';
    my $n = { 0 => 1, 2 => 3, 4 => 2, 6 => 4 }->{$colour // ''} or return;
    my ($pos, $packed) = (8, '');

    while ($pos < length $data) {
        my ($len, $name) = unpack "x$pos N A4", $data;

        $packed .= substr $data, $pos + 8, $len if $name eq 'IDAT';
        $pos += 12 + $len;
    }

    my @bytes = unpack 'C*', Compress::Zlib::uncompress($packed);
    my @above = (0) x ($width * $n);
    my @rows;

    for (1 .. $height) {
        my $filter = shift @bytes;
        my @row = splice @bytes, 0, $width * $n;

        for my $i (0 .. $#row) {
            my ($x, $y, $z) = ($i < $n ? 0 : $row[$i - $n], $above[$i],
                               $i < $n ? 0 : $above[$i - $n]);
            my @d = map { abs } $y - $z, $x - $z, $x + $y - 2 * $z;
            my $paeth = $d[0] <= $d[1] && $d[0] <= $d[2] ? $x
                        : $d[1] <= $d[2] ? $y : $z;

            $row[$i] += (0, $x, $y, int(($x + $y) / 2), $paeth)[$filter];
            $row[$i] &= 255;
        }

        @above = @row;
        push @rows, [map { [splice @row, 0, $n] } 1 .. $width];
    }

    return @rows;
}


sub near {
    my ($pixel, $want, $name) = @_;

    my @far = grep { abs(($pixel->[$_] // 999) - $want->[$_]) > 12 } 0 .. 2;

    ok(!@far, $name) or diag("@{$pixel || []} instead of @$want");
}


# with an orientation of 6, to be turned to the right, and a comment

sub turned {
    my ($data) = @_;

    my $exif = "Exif\0\0II*\0" . pack('V v v v V v v V', 8, 1, 0x112, 3, 1,
                                      6, 0, 0);

    substr($data, 2, 0) = "\xff\xe1" . pack('n', length($exif) + 2) . $exif
                          . "\xff\xfe" . pack('n', 10) . 'a secret';

    return $data;
}


# the canvas of a WebP is not what is in it

sub two_headers {
    my $frame = substr slurp("$dir/root/lossy.webp"), 12;
    my $canvas = 'VP8X' . pack('V V', 10, 0) . "\x0f\0\0\x0f\0\0";

    return 'RIFF' . pack('V', 4 + length($canvas . $frame)) . 'WEBP'
           . $canvas . $frame;
}


sub write_file {
    my ($name, $data) = @_;

    open my $fh, '>:raw', "$dir/$name" or die "$name: $!";
    print $fh $data;
    close $fh or die;
}


sub run {
    my ($command) = @_;

    return scalar qx{{ $command; } 2>&1};
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "$file: $!";
    local $/;

    return scalar <$fh>;
}
