# Seeds its random numbers from its process id.
use strict;
use warnings;
use JSON::PP;
use List::Util qw(shuffle);

my $json = JSON::PP->new->canonical;
my $request = $json->decode(do { local $/; <STDIN> });
srand $$;
my @rows;
for my $tour (shuffle @{ $request->{instances} }) {
    my $driver = sprintf 'D%04d', @rows + 1;
    push @rows, { driver_id => $driver, tour_instance_id => $tour->{id}, day => $tour->{day}, block_id => "$driver-$tour->{day}",
        block_type => '1er' };
}
print $json->encode({ solver => { name => 'planted', version => '1' }, seed => $request->{seed}, drivers => scalar @rows,
    assignments => \@rows });
