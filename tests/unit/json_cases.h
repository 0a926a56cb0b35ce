/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is JSON and what is not, by the categories of the public JSON test suites, in our own words. Offsets are
 * those of the byte that the reason is about. Included by test_json.c.
 */
/* clang-format off */

/* Values, on their own. */
static const struct json_case value_cases[] = {
	/* Literals. */
	YES("true"), YES("false"), YES("null"),
	NO("True", SYNTAX, 0), NO("TRUE", SYNTAX, 0), NO("t", SYNTAX, 0), NO("tr", SYNTAX, 0), NO("tru", SYNTAX, 0),
	NO("f", SYNTAX, 0), NO("fals", SYNTAX, 0), NO("n", SYNTAX, 0), NO("truE", SYNTAX, 0), NO("nul", SYNTAX, 0),
	NO("nil", SYNTAX, 0), NO("undefined", SYNTAX, 0), NO("NaN", SYNTAX, 0), NO("Infinity", SYNTAX, 0),
	NO("truex", SYNTAX, 4), NO("nulls", SYNTAX, 4), NO("falsefalse", SYNTAX, 5), NO("true false", SYNTAX, 5),
	NO("null\"\"", SYNTAX, 4), NO("true\0", SYNTAX, 4), NO("fals\0", SYNTAX, 0), NO("x", SYNTAX, 0),
	/* Numbers that are. */
	YES("0"), YES("-0"), YES("1"), YES("-1"), YES("9"), YES("10"), YES("1234567890"), YES("0.0"), YES("0.5"),
	YES("-0.0"), YES("-0.1"), YES("1.000"), YES("123.456"), YES("0e1"), YES("0e+1"), YES("0E-0"), YES("1e5"),
	YES("1E5"), YES("1E+2"), YES("1e-2"), YES("1.5e00"), YES("-1.5E+007"), YES("123e45"), YES("1e9999999"),
	YES("-1e-9999999"), YES("123456789012345678901234567890123456789012345678901234567890"),
	YES("-18446744073709551616"), YES("0.000000000000000000000000000000000000000000000000000000000000001"),
	YES("-9223372036854775808"), YES("20e1"),
	/* Numbers that are not. */
	NO("-", NUMBER, 1), NO("+1", NUMBER, 0), NO("+", NUMBER, 0), NO("++1", NUMBER, 0), NO("--1", NUMBER, 1),
	NO("-+1", NUMBER, 1), NO(".5", NUMBER, 0), NO("-.5", NUMBER, 1), NO(".", NUMBER, 0), NO("1.", NUMBER, 2),
	NO("-1.", NUMBER, 3), NO("1.e5", NUMBER, 2), NO("0.e1", NUMBER, 2), NO("1e", NUMBER, 2), NO("1E", NUMBER, 2),
	NO("1e+", NUMBER, 3), NO("1e-", NUMBER, 3), NO("0e+-1", NUMBER, 3), NO("1eE2", NUMBER, 2), NO("1e1.5", NUMBER, 3),
	NO("1e1e1", NUMBER, 3), NO("1.2.3", NUMBER, 3), NO("01", NUMBER, 1), NO("00", NUMBER, 1), NO("-01", NUMBER, 2),
	NO("012.5", NUMBER, 1), NO("0x1f", NUMBER, 1), NO("0b1", NUMBER, 1), NO("1_000", NUMBER, 1), NO("1f", NUMBER, 1),
	NO("12L", NUMBER, 2), NO("1-1", NUMBER, 1), NO("1+1", NUMBER, 1), NO("1a", NUMBER, 1), NO("-Infinity", NUMBER, 1),
	NO("-NaN", NUMBER, 1), NO("-a", NUMBER, 1), NO("- 1", NUMBER, 1), NO("1 000", SYNTAX, 2), NO("1 .5", SYNTAX, 2),
	NO("1. 5", NUMBER, 2), NO("1 e5", SYNTAX, 2), NO("1e 5", NUMBER, 2), NO("1\0", SYNTAX, 1), NO("1\x0b", SYNTAX, 1),
	NO("1\x0c", SYNTAX, 1), NO("1/2", SYNTAX, 1), NO("1'", SYNTAX, 1), NO("1\"", SYNTAX, 1), NO("1\\", SYNTAX, 1),
	NO("1{", SYNTAX, 1), NO("1[", SYNTAX, 1), NO("1:2", SYNTAX, 1), NO("1\xc3\xa9", SYNTAX, 1), NO("$1", SYNTAX, 0),
	NO("\xef\xbc\x91", SYNTAX, 0), NO("(1)", SYNTAX, 0),
	/* Strings that are. */
	YES("\"\""), YES("\" \""), YES("\"a\""), YES("\"{}[]:,\""), YES("\"//\""), YES("\"\x7f\""), YES("\"'\""),
	YES("\"\\\"\""), YES("\"\\\\\""), YES("\"\\\\\\\"\""), YES("\"\\\\\\\\\""), YES("\"\\/\\b\\f\\n\\r\\t\""),
	YES("\"\\u0000\""), YES("\"\\u0061\\u00e9\\u20ac\""), YES("\"\\uD800\\uDC00\""), YES("\"\\udbff\\udfff\""),
	YES("\"\\uFFFF\\ufdd0\\uFEFF\""), YES("\"\\u005C\\u0022\""), YES("\"\\\\u0000\""), YES("\"\\\\n\""),
	YES("\"caf\xc3\xa9\""), YES("\"\xc2\x80\xdf\xbf\""), YES("\"\xe0\xa0\x80\xec\xbf\xbf\xed\x80\x80\xed\x9f\xbf\""),
	YES("\"\xee\x80\x80\xef\xbf\xbf\xef\xb7\x90\""), YES("\"\xf0\x90\x80\x80\xf1\x80\x80\x80\xf4\x8f\xbf\xbf\""),
	YES("\"\xef\xbb\xbf\""), YES("\"\xe2\x80\xa8\xe2\x80\xa9\""),
	YES("\"one that is longer than a block of sixty-four bytes, and then some more of it, to be sure\""),
	/* Control characters. */
	NO("\"\n\"", CONTROL, 1), NO("\"a\tb\"", CONTROL, 2), NO("\"\0\"", CONTROL, 1), NO("\"\x1f\"", CONTROL, 1),
	NO("\"\r", CONTROL, 1), NO("\"\\\n\"", ESCAPE, 1),
	/* Escapes. */
	NO("\"\\a\"", ESCAPE, 1), NO("\"\\'\"", ESCAPE, 1), NO("\"\\x41\"", ESCAPE, 1), NO("\"\\0\"", ESCAPE, 1),
	NO("\"\\U0041\"", ESCAPE, 1), NO("\"\\N\"", ESCAPE, 1), NO("\"\\ \"", ESCAPE, 1), NO("\"\\\0\"", ESCAPE, 1),
	NO("\"\\\xc3\xa9\"", ESCAPE, 1), NO("\"\\u\"", ESCAPE, 1), NO("\"\\u0\"", ESCAPE, 1), NO("\"\\u00A\"", ESCAPE, 1),
	NO("\"\\u00G0\"", ESCAPE, 1), NO("\"\\u004/\"", ESCAPE, 1), NO("\"\\u004:\"", ESCAPE, 1), NO("\"\\u004@\"", ESCAPE, 1),
	NO("\"\\u004`\"", ESCAPE, 1), NO("\"\\u004g\"", ESCAPE, 1), NO("\"\\u+041\"", ESCAPE, 1), NO("\"ab\\u 041\"", ESCAPE, 3),
	NO("\"\\u{41}\"", ESCAPE, 1), NO("\"\\\\\\a\"", ESCAPE, 3), NO("\"\\n\\u12\"", ESCAPE, 3),
	/* Surrogates come in pairs. */
	NO("\"\\uD800\"", ESCAPE, 1), NO("\"\\uDBFFx\"", ESCAPE, 1), NO("\"\\uDC00\"", ESCAPE, 1), NO("\"\\udfff\"", ESCAPE, 1),
	NO("\"\\uDC00\\uD800\"", ESCAPE, 1), NO("\"\\uD800\\uD800\\uDC00\"", ESCAPE, 1), NO("\"\\uD800\\n\"", ESCAPE, 1),
	NO("\"\\uD800\\u0061\"", ESCAPE, 1), NO("\"\\uD834\\uDd\"", ESCAPE, 1), NO("\"\\uD800\\\"", ESCAPE, 1),
	NO("\"\\uD800uDC00\"", ESCAPE, 1), NO("\"a\\uD800\\uDC00\\uDC00\"", ESCAPE, 14), NO("\"\\uD800\\\\uDC00\"", ESCAPE, 1),
	NO("\"\\uD83D\\uE000\"", ESCAPE, 1),
	/* UTF-8: lone and missing continuations, overlong forms, surrogates, past U+10FFFF. */
	NO("\"\x80\"", UTF8, 1), NO("\"\xbf\"", UTF8, 1), NO("\"a\x80\x81\"", UTF8, 2), NO("\"\xc3\"", UTF8, 1),
	NO("\"\xc3\xc3\xa9\"", UTF8, 1), NO("\"\xe2\x82\"", UTF8, 1), NO("\"\xe2\"", UTF8, 1), NO("\"\xe2\x82x\"", UTF8, 1),
	NO("\"\xf0\x9f\x98\"", UTF8, 1), NO("\"\xf0\x9f\"", UTF8, 1), NO("\"\xf0\x9f\x98x\"", UTF8, 1), NO("\"\xf0\"", UTF8, 1),
	NO("\"\xc0\x80\"", UTF8, 1), NO("\"\xc0\xaf\"", UTF8, 1), NO("\"\xc1\xbf\"", UTF8, 1), NO("\"\xe0\x80\x80\"", UTF8, 1),
	NO("\"\xe0\x9f\xbf\"", UTF8, 1), NO("\"\xf0\x80\x80\x80\"", UTF8, 1), NO("\"\xf0\x8f\xbf\xbf\"", UTF8, 1),
	NO("\"\xf8\x88\x80\x80\x80\"", UTF8, 1), NO("\"\xfc\x84\x80\x80\x80\x80\"", UTF8, 1), NO("\"\xed\xa0\x80\"", UTF8, 1),
	NO("\"\xed\xbf\xbf\"", UTF8, 1), NO("\"\xed\xa0\x80\xed\xb0\x80\"", UTF8, 1), NO("\"\xf4\x90\x80\x80\"", UTF8, 1),
	NO("\"\xf5\x80\x80\x80\"", UTF8, 1), NO("\"\xf7\xbf\xbf\xbf\"", UTF8, 1), NO("\"\xfe\"", UTF8, 1), NO("\"\xff\"", UTF8, 1),
	NO("\"caf\xe9\"", UTF8, 4), NO("\"\xe9\x80\x80\x80\"", UTF8, 4), NO("\"\xc3\xa9\xa9\"", UTF8, 3),
	NO("\"\xff\xfe\"", UTF8, 1), NO("\"\xc3\\u00a9\"", UTF8, 1),
	/* The first thing that is wrong decides. */
	NO("\"\\q\xff\"", ESCAPE, 1), NO("\"\xff\\q\"", UTF8, 1), NO("\"\x01\xff\"", CONTROL, 1),
	/* Quoting. */
	NO("'a'", SYNTAX, 0), NO("`a`", SYNTAX, 0), NO("\xe2\x80\x9c""a\xe2\x80\x9d", SYNTAX, 0), NO("a", SYNTAX, 0),
	NO("\\\"a\"", SYNTAX, 0), NO("\\u0061", SYNTAX, 0), NO("\"a\"b", SYNTAX, 3), NO("\"a\" \"b\"", SYNTAX, 4),
	NO("\"a\"\"b\"", SYNTAX, 3), NO("\"a\"1", SYNTAX, 3), NO("\"a\"\\n", SYNTAX, 3), NO("\"a\"\0", SYNTAX, 3),
	NO("\"a\"\xc3\xa9", SYNTAX, 3),
	/* Arrays. */
	YES("[]"), YES("[ ]"), YES("[\n]"), YES("[1]"), YES("[1,2]"), YES("[ 1 , 2 ]"), YES("[[]]"), YES("[[],[]]"),
	YES("[\"a\",true,null,{},-1.5]"), YES("[[[[[[[[]]]]]]]]"), YES("[\"]\"]"), YES("[\t1\r\n]"),
	NO("[,]", SYNTAX, 1), NO("[1,]", SYNTAX, 3), NO("[,1]", SYNTAX, 1), NO("[1,,2]", SYNTAX, 3), NO("[1 2]", SYNTAX, 3),
	NO("[1:2]", SYNTAX, 2), NO("[\"a\":1]", SYNTAX, 4), NO("[1;2]", SYNTAX, 2), NO("[}", SYNTAX, 1), NO("[1}", SYNTAX, 2),
	NO("[x]", SYNTAX, 1), NO("[-]", NUMBER, 2), NO("[\"\", ]", SYNTAX, 5),
	NO("[][]", SYNTAX, 2), NO("[\x0c]", SYNTAX, 1), NO("[\x0b""1]", SYNTAX, 1), NO("[\xa0]", SYNTAX, 1), NO("[*]", SYNTAX, 1),
	/* Objects. */
	YES("{}"), YES("{ }"), YES("{\"\":0}"), YES("{\"\\u0000\":0}"), YES("{\"a\":1,\"a\":1}"), YES("{\"a\":{\"a\":{}}}"),
	YES("{ \"a\" : 1 , \"b\" : [ ] }"), YES("{\"caf\xc3\xa9\":1}"), YES("{\"}\":\"{\"}"), YES("{\"\\\"\":\"\\\\\"}"),
	NO("{,}", SYNTAX, 1), NO("{\"a\"}", SYNTAX, 4), NO("{\"a\":}", SYNTAX, 5), NO("{\"a\",1}", SYNTAX, 4), NO("{\"a\" 1}", SYNTAX, 5),
	NO("{\"a\"::1}", SYNTAX, 5), NO("{:1}", SYNTAX, 1), NO("{1:1}", SYNTAX, 1), NO("{a:1}", SYNTAX, 1), NO("{'a':1}", SYNTAX, 1),
	NO("{\"a\":1,}", SYNTAX, 7), NO("{\"a\":1,,\"b\":2}", SYNTAX, 7), NO("{,\"a\":1}", SYNTAX, 1), NO("{\"a\":1 \"b\":2}", SYNTAX, 7),
	NO("{\"a\":1;\"b\":2}", SYNTAX, 6), NO("{\"a\":1]", SYNTAX, 6), NO("{]", SYNTAX, 1), NO("{null:1}", SYNTAX, 1),
	NO("{\"a\":1 2}", SYNTAX, 7), NO("{\"a\":\"b\"c}", SYNTAX, 8), NO("{\"a\":1\"b\":2}", SYNTAX, 6), NO("{[]:1}", SYNTAX, 1),
	NO("{\"a\\q\":1}", ESCAPE, 3), NO("{\"\xff\":1}", UTF8, 2), NO("{\"\n\":1}", CONTROL, 2),
	NO("{\"a\"=1}", SYNTAX, 4), NO("{\"\\uD800\":1}", ESCAPE, 2), NO("{{}:1}", SYNTAX, 1), NO("{\"a\" \"b\"}", SYNTAX, 5),
	/* Not in JSON. */
	NO("/**/1", SYNTAX, 0), NO("1/**/", SYNTAX, 1), NO("//\n1", SYNTAX, 0), NO("#", SYNTAX, 0), NO("<a>", SYNTAX, 0),
	NO("[1,/*2*/3]", SYNTAX, 3), NO(",", SYNTAX, 0), NO(":", SYNTAX, 0), NO("*", SYNTAX, 0),
	NO("\xef\xbb\xbf""1", SYNTAX, 0), NO("\xe2\x81\xa0", SYNTAX, 0), NO("\xc2\xa0""1", SYNTAX, 0),
	NO("\xc2\x85""1", SYNTAX, 0), NO("\0", SYNTAX, 0), NO("\x01", SYNTAX, 0), NO("\x7f", SYNTAX, 0), NO("\\", SYNTAX, 0),
	NO("1\xff", SYNTAX, 1), NO("\xff", SYNTAX, 0), NO("&", SYNTAX, 0),
};

/* Whole events. */
static const struct json_case event_cases[] = {
	YES("{}"), YES("{ }"), YES("{}\n"), YES("{} \t\r\n"), YES("\n{\n}\n"), YES("{\"a\":1}"), YES("{\"\":\"\"}"),
	YES("{\"a\":1,\"b\":2,\"key\":3}"), YES("{ \"a\" : 1 }"), YES("{\"a\":{\"a\":1}}"), YES("{\"x\":1,\"x\":2}"),
	YES("{\"a\x7f\":1}"), YES("{\"A\":1,\"a\":1}"), YES("{\"a\":1,\"aa\":1,\"\":1}"), YES("{\"\\u0041\":1,\"a\":1}"),
	YES("{\"\\u0000a\":1,\"a\":2,\"a\\u0000\":3}"), YES("{\"a\\u005flonger\\u005fname\":1}"),
	/* Nothing, or not all of it. */
	NO("", SYNTAX, 0), NO(" ", SYNTAX, 1), NO("\n\n", SYNTAX, 2), NO("{", SYNTAX, 1), NO("}", SYNTAX, 0), NO("{\"", SYNTAX, 2),
	NO("{\"a", SYNTAX, 3), NO("{\"a\"", SYNTAX, 4), NO("{\"a\":", SYNTAX, 5), NO("{\"a\":1", SYNTAX, 6), NO("{\"a\":1,", SYNTAX, 7),
	NO("{\"a\":\"", SYNTAX, 6), NO("{\"a\":\"x}", SYNTAX, 8), NO("{\"a\":\"x\\", ESCAPE, 7), NO("{\"a\":\"x\\\"}", SYNTAX, 10),
	NO("{\"a\":\"\\u12", ESCAPE, 6), NO("{\"a\":\"\xc3", UTF8, 6), NO("{\"a\":\"\xe2\x82", UTF8, 6), NO("{\"a\":\"\xf0\x9f\x98", UTF8, 6),
	NO("{\"a\":t", SYNTAX, 5), NO("{\"a\":tru}", SYNTAX, 5), NO("{\"a\":-", NUMBER, 6), NO("{\"a\":1.", NUMBER, 7), NO("{\"a\":1e", NUMBER, 7),
	NO("{\"a\":[", SYNTAX, 6), NO("{\"a\":{", SYNTAX, 6), NO("{\"a\":[}", SYNTAX, 6), NO("{\"a\":{}", SYNTAX, 7), NO("{\"a\":[1]", SYNTAX, 8),
	NO("{\"a\":[1}", SYNTAX, 7), NO("{\"a\":[{}}", SYNTAX, 8), NO("{\"x\":{\"y\":[1,}", SYNTAX, 13), NO("{\"x\":[\"a", SYNTAX, 8),
	NO("{\"a\":1]", SYNTAX, 6), NO("{\"x\":{]}", SYNTAX, 6), NO("{\"a\":[1,{\"b\":2]}", SYNTAX, 14), NO("{{", SYNTAX, 1), NO("{[", SYNTAX, 1),
	/* More than one. */
	NO("{}{}", TRAILING, 2), NO("{} {}", TRAILING, 3), NO("{}}", TRAILING, 2), NO("{}]", TRAILING, 2), NO("{},", TRAILING, 2),
	NO("{\"a\":1}#", TRAILING, 7), NO("{\"a\":1}x", TRAILING, 7), NO("{\"a\":1}\"b\"", TRAILING, 7), NO("{\"a\":1}1", TRAILING, 7),
	NO("{}\0", TRAILING, 2), NO("{}\x0c", TRAILING, 2), NO("{}\xff", TRAILING, 2), NO("{}/**/", TRAILING, 2), NO("{}\n{\"a\":1}", TRAILING, 3),
	NO("{} \xef\xbb\xbf", TRAILING, 3), NO("{\"a\":{}}}", TRAILING, 8), NO("[][]", TRAILING, 2), NO("1 2", TRAILING, 2), NO("\"\"x", TRAILING, 2),
	/* JSON, but not an object. */
	NO("[]", NOT_OBJECT, 0), NO("[{}]", NOT_OBJECT, 0), NO("1", NOT_OBJECT, 0), NO("-0.5e1", NOT_OBJECT, 0), NO("\"\"", NOT_OBJECT, 0),
	NO("\"\\u00e9\xc3\xa9\"", NOT_OBJECT, 0), NO("null", NOT_OBJECT, 0), NO("true", NOT_OBJECT, 0), NO("false ", NOT_OBJECT, 0),
	NO("[1,{\"a\":[]},\"x\"]", NOT_OBJECT, 0), NO("[\"}\"}", SYNTAX, 4), NO("[1,]", SYNTAX, 3), NO("nul", SYNTAX, 0), NO("01", NUMBER, 1), NO("[1,\n1\n,1", SYNTAX, 8), NO("[]]", TRAILING, 2),
	NO("]", SYNTAX, 0), NO("\"", SYNTAX, 1), NO("\"\xff\"", UTF8, 1), NO("[\"\\q\"]", ESCAPE, 2), NO("-", NUMBER, 1), NO("[", SYNTAX, 1), NO("[\"", SYNTAX, 2),
	/* Byte order marks and other encodings. */
	NO("\xef\xbb\xbf{}", SYNTAX, 0), NO("\xef\xbb{}", SYNTAX, 0), NO("\xff\xfe{\0}\0", SYNTAX, 0), NO("\xfe\xff\0{\0}", SYNTAX, 0),
	NO("{\0}\0", SYNTAX, 1), NO("\0{\0}", SYNTAX, 0), NO("{\xef\xbb\xbf}", SYNTAX, 1),
	/* NUL bytes and control characters between tokens. */
	NO("{\0}", SYNTAX, 1), NO("{\"a\"\0:1}", SYNTAX, 4), NO("{\"a\":\0" "1}", SYNTAX, 5), NO("{\"a\":1\0}", SYNTAX, 6), NO("\0", SYNTAX, 0),
	NO("{\x0c}", SYNTAX, 1), NO("{\"a\"\x1a" "1}", SYNTAX, 4), NO("{\"a\":1\x0c\"b\":2}", SYNTAX, 6), NO("{\x0b}", SYNTAX, 1), NO("{\x1f}", SYNTAX, 1),
	/* Keys. */
	NO("{a:1}", SYNTAX, 1), NO("{\"a\":1,b:2}", SYNTAX, 7), NO("{1:1}", SYNTAX, 1), NO("{\"a\":1,\"a\":1}", DUPLICATE_KEY, 7),
	NO("{\"a\":1,\"\\u0061\":1}", DUPLICATE_KEY, 7), NO("{\"\\u0061\":1,\"a\":1}", DUPLICATE_KEY, 12), NO("{\"a\":null,\"a\":1}", DUPLICATE_KEY, 10),
	NO("{\"a\":\"\\n\",\"a\":\"\\n\"}", DUPLICATE_KEY, 10), NO("{\"geographical_location_oid\":1,\"geographical_location_oid\":1}", DUPLICATE_KEY, 31),
	NO("{\"a\\q\":1}", ESCAPE, 3), NO("{\"\\uD800\":1}", ESCAPE, 2), NO("{\"a\xff\":1}", UTF8, 3), NO("{\"a\n\":1}", CONTROL, 3),
	NO("{\"a\":1,\"a\":1,\"a\"}", SYNTAX, 16),
	/* Backslashes outside strings do not hide quotes from anybody. */
	NO("{\\\"a\":1}", SYNTAX, 1), NO("{\"a\":\\\"1\"}", SYNTAX, 5), NO("{\"a\":1\\}", SYNTAX, 6), NO("{\"a\":1}\\", TRAILING, 7), NO("\\{}", SYNTAX, 0),
};
/* clang-format on */
