<?php
// Verifies a webhook without a library. Usage: php verify.php SECRET ID TIMESTAMP SIGNATURE < body

const TOLERANCE_S = 300;

// $secret begins with whsec_; the others are the headers webhook-id, webhook-timestamp, webhook-signature.
function verify(string $secret, string $id, string $timestamp, string $signature, string $body): bool
{
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE_S) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret), true);
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $signature) as $one) {
        if (hash_equals($expected, $one)) {
            return true;
        }
    }
    return false;
}

// In a web application the body is file_get_contents('php://input').
echo verify($argv[1], $argv[2], $argv[3], $argv[4], stream_get_contents(STDIN)) ? "valid\n" : "invalid\n";
