#include "vmm/base/sha256.h"

#include <criterion/criterion.h>
#include <string.h>

static void check(const char *bytes, size_t len, size_t piece, const char *digest)
{
	struct sha256 hash;
	char text[SHA256_TEXT_SIZE];

	sha256_init(&hash);
	for (size_t i = 0; i < len; i += piece)
		sha256_add(&hash, bytes + i, len - i < piece ? len - i : piece);
	sha256_end(&hash, text);
	cr_assert_str_eq(text, digest, "%zu bytes in pieces of %zu: %s", len, piece, text);
}

/* The examples of FIPS 180-2, appendix B, and the empty text. */
Test(sha256, known_texts_have_known_digests)
{
	static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

	check("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check("abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check(two, strlen(two), 9,
	      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(sha256, a_million_letters_however_they_are_cut)
{
	static const char digest[] =
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
	static char letters[1000000];

	memset(letters, 'a', sizeof(letters));
	check(letters, sizeof(letters), sizeof(letters), digest);
	check(letters, sizeof(letters), 63, digest);
	check(letters, sizeof(letters), 64, digest);
	check(letters, sizeof(letters), 131, digest);
}

/* Padding that needs a block of its own or not: digests by sha256sum(1) of coreutils. */
Test(sha256, each_length_ends_in_one_or_two_blocks)
{
	static const struct {
		size_t len;
		const char *digest;
	} sample[] = {
		{ 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
		{ 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
		{ 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34" },
		{ 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
		{ 119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb" },
		{ 120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c" },
	};
	char letters[120];

	memset(letters, 'a', sizeof(letters));
	for (size_t i = 0; i < ARRAY_SIZE(sample); i++)
		check(letters, sample[i].len, sample[i].len, sample[i].digest);
}
