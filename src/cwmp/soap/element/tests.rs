use super::*;

fn with<T>(text: &str, read: impl FnOnce(Element<'_>) -> T) -> T {
    let document = roxmltree::Document::parse(text).unwrap();
    let references = References::of(&document, text.len());
    read(Element::new(document.root_element(), &references))
}

#[test]
fn a_text_is_kept_as_it_stands() {
    with("<r xmlns:q='u'><A> a&#13;&lt;<!-- c --><![CDATA[<b>]]>&#x20AC;<?p?> </A><q:B/><C><x/></C></r>", |r| {
        assert_eq!(r.string("A", 32).unwrap(), " a\r<<b>€ ");
        assert_eq!(r.string("A", 9).unwrap().chars().count(), 9);
        assert_eq!(r.string("A", 8), Err(ArgumentError::TooLong("A", 8)));
        assert_eq!(r.string("B", 0).unwrap(), ""); // qualified, yet accepted
        assert_eq!(r.string("C", 9), Err(ArgumentError::NotText("C")));
        assert_eq!(r.string("D", 9), Err(ArgumentError::Missing("D")));
        assert!(r.find("D").unwrap().is_none());
    });
    with("<r><A>1</A><A>2</A></r>", |r| {
        assert_eq!(r.string("A", 9), Err(ArgumentError::Repeated("A")));
        let fault = Fault::from(ArgumentError::Repeated("A"));
        assert_eq!(fault.to_string(), "9003 A is there more than once");
    });
}

/// A plain text is borrowed from the message.
#[test]
fn a_plain_text_is_borrowed() {
    with("<r><A>Device.</A></r>", |r| {
        assert!(matches!(r.string("A", 256), Ok(Cow::Borrowed("Device."))));
    });
}

/// R323, R324: booleans and numbers.
#[test]
fn truth_and_numbers() {
    for (text, expected) in [
        ("1", Ok(true)),
        (" true\n", Ok(true)),
        ("0", Ok(false)),
        ("false", Ok(false)),
        ("TRUE", Err(ArgumentError::NotBoolean("A"))),
        ("", Err(ArgumentError::NotBoolean("A"))),
    ] {
        with(&format!("<r><A>{text}</A></r>"), |r| {
            assert_eq!(r.boolean("A"), expected, "{text:?}");
        });
    }
    let not_a_number = Err(ArgumentError::NotANumber("A"));
    let not_in_range = Err(ArgumentError::NotInRange("A"));
    for (text, expected) in [
        (" 4294967295 ", Ok(u32::MAX)),
        ("+007", Ok(7)),
        ("-0", Ok(0)),
        ("-1", not_in_range),
        ("4294967296", not_in_range),
        ("99999999999999999999", not_a_number),
        ("", not_a_number),
        ("1 2", not_a_number),
        ("0x10", not_a_number),
    ] {
        with(&format!("<r><A>{text}</A></r>"), |r| {
            assert_eq!(r.unsigned_int("A"), expected, "{text:?}");
        });
    }
    with("<r><A>-2147483648</A><B>2147483648</B></r>", |r| {
        assert_eq!(r.int("A"), Ok(i32::MIN));
        assert_eq!(r.int("B"), Err(ArgumentError::NotInRange("B")));
    });
}

/// A missing or wrong `arrayType` does not change the members.
#[test]
fn arrays() {
    let text = "<r xmlns:e='http://schemas.xmlsoap.org/soap/encoding/'><L e:arrayType='x:y[9]'>
        <string>a</string><!-- c --><item>b</item></L><M/></r>";
    with(text, |r| {
        let members = r.members("L").unwrap();
        let texts: Vec<_> = members.filter_map(|member| member.text()).collect();
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(r.members("M").unwrap().count(), 0);
        assert!(r.members("N").is_err());
    });
}

/// An array that was not understood is no empty one.
#[test]
fn arrays_that_are_none() {
    let text = "<r xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><Text>a</Text><Mixed>b<m/></Mixed>
        <Nil i:nil='true'/><Empty i:nil='0'> <!-- c --> </Empty></r>";
    with(text, |r| {
        for name in ["Text", "Mixed", "Nil"] {
            assert_eq!(r.members(name).map(drop), Err(ArgumentError::NotArray(name)));
        }
        assert_eq!(r.members("Empty").unwrap().count(), 0);
    });
}

/// SOAP 1.1 §5.2.1.
#[test]
fn references() {
    let text = "<b><r><Text href='#t'/><List href='#l'> </List><Chain href='#c'/><Nowhere href='#n'/>
        <Twice href='#d'/><Abroad href='http://x/#t'/><Two href='#t'>a</Two><Broken><m href='#n'/></Broken>
        <Loop href='#loop'/></r><m id='t'>a</m><m id='l'><m href='#t'/><m>b</m></m><m id='c' href='#t'/>
        <m id='d'/><m id='d'/><m id='loop'><Loop href='#loop'/></m></b>";
    with(text, |body| {
        let r = body.children().next().unwrap();
        assert_eq!(r.string("Text", 9).unwrap(), "a");
        let list: Vec<_> = r.members("List").unwrap().filter_map(|member| member.text()).collect();
        assert_eq!(list, ["a", "b"]);
        for name in ["Chain", "Nowhere", "Twice", "Abroad", "Two"] {
            assert_eq!(r.find(name).map(drop), Err(ArgumentError::Unresolved(name)));
        }
        assert_eq!(r.members("Broken").map(drop), Err(ArgumentError::Unresolved("Broken")));
        // A reference that leads back to itself ends with the budget.
        let mut at = r;
        let steps = (0..1000).take_while(|_| at.argument("Loop").map(|inside| at = inside).is_ok()).count();
        assert!(steps < 1000);
    });
}

/// References cannot stand for more than twice their message.
#[test]
fn references_do_not_multiply() {
    let text = format!("<b><r><L>{}</L></r><m id='t'>{}</m></b>", "<m href='#t'/>".repeat(100), "x".repeat(10_000));
    with(&text, |body| {
        let r = body.children().next().unwrap();
        assert_eq!(r.members("L").map(drop), Err(ArgumentError::Unresolved("L")));
    });
}

/// R67, R332: types are compared by namespace, never by prefix.
#[test]
fn types_are_resolved() {
    let text = "<r xmlns:i='http://www.w3.org/2001/XMLSchema-instance' \
        xmlns:s='http://www.w3.org/2001/XMLSchema' xmlns:xsd='urn:other' \
        xmlns:e='http://schemas.xmlsoap.org/soap/encoding/' \
        xmlns:o='http://www.w3.org/1999/XMLSchema'>\
        <v i:type='s:boolean'/><v i:type=' e:base64 '/><v i:type='o:int'/>\
        <v i:type='nowhere:string'/><v i:type='dateTime'/><v i:type='xsd:string'/>\
        <v i:type=''/><v i:type='s:'/><v type='s:int'/>\
        <v xmlns='http://www.w3.org/2001/XMLSchema' i:type='int'/></r>";
    with(text, |r| {
        let types: Vec<_> = r.children().map(|v| v.xsi_type()).collect();
        use XsiType::*;
        let expected = [
            Some(BuiltIn("boolean")),
            Some(BuiltIn("base64")),
            Some(BuiltIn("int")),
            Some(BuiltIn("string")),
            Some(BuiltIn("dateTime")),
            Some(Foreign("string")),
            None,
            None,
            None,
            Some(BuiltIn("int")),
        ];
        assert_eq!(types, expected);
    });
}
