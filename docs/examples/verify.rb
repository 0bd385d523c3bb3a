# Verifies a webhook with Ruby's standard library. Usage: ruby verify.rb SECRET ID TIMESTAMP SIGNATURE < body
require "openssl"

TOLERANCE_S = 300

# secret begins with whsec_; the others are the headers webhook-id, webhook-timestamp, webhook-signature.
def verify(secret, id, timestamp, signature, body)
  return false unless timestamp.match?(/\A\d+\z/) && (Time.now.to_i - timestamp.to_i).abs <= TOLERANCE_S

  key = secret.delete_prefix("whsec_").unpack1("m")
  mac = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body.b)
  expected = "v1," + [mac].pack("m0")
  signature.split(" ").any? do |one|
    one.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(one, expected)
  end
end

puts verify(*ARGV[0, 4], $stdin.binmode.read) ? "valid" : "invalid"
