"""A request, and keys that sign it, as the tests of the standard's libraries and of Svix have them."""

ID, SENT_S, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the standard's libraries
PRIVATE_KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="

CONVOY_SECRET = "convoy-webhook-secret"
CONVOY_BODY = b'{"event":"charge.success","amount":1000,"currency":"NGN"}'
CONVOY_SIGNATURES = {
    "convoy": "t=1700000000,v1=77b8b9269f25a199846a55a2bd25b3fba151c70fdae60bb1dcd87fbbc943c55c",
    "convoy-simple": "244449b7f48cbc2709060c9dcdc2b3aa47a78f540430579015c579fb12defbb4",
}
"""Of Convoy's own vectors (pkg/signature/testdata in its repository): SHA256, hex, at that time."""
