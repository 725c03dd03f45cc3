"""German subjects of our own requirements; a task ends with its verb."""

from export.own_phrases import Subjects, phrases

GERMAN_SUBJECTS: Subjects = {
    "image_classes": phrases(
        """Hunderassen|Vögel|Blumen|Pilze|Schmetterlinge|Baumarten|Verkehrszeichen|Automodelle|Obstsorten|
        Gemüsesorten|Wolkenarten|Gesteine|Münzen|Geldscheine|Fischarten|Insekten|Hautkrankheiten|
        Blutzellen|handgeschriebene Ziffern|Gebärden|Möbelstücke|Gebäudestile|Abfallsorten|Unkräuter|
        Getreidesorten|Blattkrankheiten|Schweißnahtfehler|Oberflächenfehler|Werkzeuge|Schrauben|
        Speisen|Käsesorten|Schuhe|Sehenswürdigkeiten|Wetterlagen|Gesichtsausdrücke""",
        """{} erkennen|{} klassifizieren|Bilder: {}|{} auf Fotos|Klassifikation: {}|{} unterscheiden|
        Bildklassifikation {}|welche {} sind das?""",
        """{} auf Fotos erkennen|{} anhand von Bildern klassifizieren|{} auf Kamerabildern unterscheiden|
        Bilder von Gegenständen der Art {} in Klassen einteilen|auf Bildern {} bestimmen""",
    ),
    "image_pairs": phrases(
        """Hunde und Katzen|reife und unreife Bananen|gesunde und kranke Pflanzen|offene und geschlossene
        Augen|Bienen und Wespen|Männer und Frauen|echte und gefälschte Gesichter|frisches und faules
        Obst|Tag- und Nachtaufnahmen|Innen- und Außenaufnahmen|beschädigte und heile Autos|nasse und
        trockene Straßen|gutartige und bösartige Muttermale|volle und leere Regale""",
        "{}|{} unterscheiden|Bilder: {}|{} auf Bildern|{} trennen",
        "{} auf Bildern unterscheiden|{} anhand von Fotos auseinanderhalten|auf Fotos {} unterscheiden",
    ),
    "image_findings": phrases(
        """Lungenentzündung|Hautkrebs|Tuberkulose|Hirntumore|Knochenbrüche|Waldbrände|Rauch|Rost|
        Schlaglöcher|Schimmel|Hagelschäden|Gewalt|Brustkrebs|Karies|Müdigkeit|Ölteppiche|Graffiti|
        Netzhautschäden|Malaria""",
        "{} auf Bildern|{} ja oder nein|{} erkennen auf Röntgenbildern|Bild-Erkennung {}|Fotos mit {}",
        """auf Bildern {} erkennen|{} auf Aufnahmen feststellen|Bilder nach {}, ja oder nein,
        klassifizieren|anhand eines Fotos {} feststellen""",
    ),
    "segmentation": phrases(
        """Straßen|Gebäude|Dächer|Wasserflächen|Wolken|Wälder|Lungen|Tumore|Zellkerne|Blutgefäße|Zähne|
        Haare|Personen|Risse|Blätter|Früchte|Gletscher|Felder|Fahrspuren|Solarmodule|Wunden|Polypen""",
        "{} segmentieren|Segmentierung: {}|U-Net für {}|Maske für {}|{} pixelgenau",
        """{} auf Bildern segmentieren|{} pixelgenau markieren|jeden Pixel der Klasse {} markieren|{} vom
        Hintergrund trennen|auf Luftbildern {} segmentieren""",
    ),
    "detection": phrases(
        """Kennzeichen|Fußgänger|Gesichter|Helme|Autos|Fahrräder|Ampeln|Kühe|Boote|Drohnen|Strichcodes|
        Bäume|Äpfel|Flaschen|Pakete|Fußbälle|Paletten|Vögel|Feuerlöscher|Preisschilder|Schiffe""",
        "{} lokalisieren|Objekterkennung {}|{} mit Rahmen|{} finden|Begrenzungsrahmen für {}|wo sind {}",
        """{} auf Bildern lokalisieren|die Position der {} auf Fotos finden|{} mit Begrenzungsrahmen
        markieren|Rahmen um {} auf Bildern vorhersagen""",
    ),
    "restoration": phrases(
        """alte Fotos|gescannte Dokumente|Nachtaufnahmen|Röntgenbilder|Mikroskopbilder|Satellitenbilder|
        Schwarzweißfotos|unscharfe Bilder|Ultraschallbilder|Familienfotos|komprimierte Bilder|
        Unterwasserfotos|neblige Bilder|Wärmebilder""",
        "{} entrauschen|{} schärfen|{} verbessern|{} restaurieren|{} einfärben|{} hochskalieren",
        """{} entrauschen|{} schärfen|{} mit einem Autoencoder entrauschen|{} einfärben|{} auf höhere
        Auflösung hochskalieren|{} restaurieren""",
    ),
    "image_generation": phrases(
        """Gesichter|Anime-Figuren|Landschaften|Blumen|Katzen|Logos|Texturen|Gemälde|Schuhe|Ziffern|
        Monster|Kleider|Comicfiguren|Symbole|Autos|Galaxien|Porträts|Tapeten""",
        "{} generieren|GAN für {}|{} erzeugen|neue {}|Bildgenerator {}|künstliche {}",
        """Bilder neuer {} erzeugen|{} mit einem GAN generieren|{} aus Rauschen erzeugen|künstliche Bilder
        der Art {} generieren|{} erfinden""",
    ),
    "captioning": phrases(
        """Fotos|Urlaubsbilder|Produktfotos|Pressefotos|Gemälde|Straßenszenen|Tieraufnahmen|Röntgenbilder|
        Zeichnungen|Bilder für Blinde|Satellitenbilder|Speisefotos""",
        "{} beschreiben|Bildunterschriften {}|{} in Worten|Bildbeschreibung {}|Alternativtexte {}",
        """{} in einem Satz beschreiben|Bildunterschriften für {} schreiben|{} mit CNN und LSTM beschreiben|
        zu {} passende Sätze schreiben""",
    ),
    "image_regression": phrases(
        """das Alter einer Person|das Gewicht eines Fisches|den Preis eines Hauses|die Zahl der Menschen|
        den Lenkwinkel|die Höhe eines Baums|die Kalorien einer Mahlzeit|den Stand eines Zeigers|das
        Knochenalter|den Füllstand|die Bodenfeuchte|die Zahl der Zellen|den Wasserstand|den Abstand
        zum nächsten Auto""",
        "{} vom Foto|{} aus Bildern|{} per Bild schätzen|Bildregression: {}",
        """{} aus einem Foto schätzen|{} anhand eines Bildes vorhersagen|{} von Kamerabildern ablesen|auf
        Bildern {} schätzen""",
    ),
    "video": phrases(
        """Gesten|Sportarten|Gebärden|Übungen|Tanzstile|Stürze|Tennisschläge|Schwimmstile|Tierverhalten|
        Verkehrsunfälle|Ladendiebstähle|Handgriffe|Montageschritte|Handlungen""",
        "{} in Videos|Videoklassifikation {}|{} im Video erkennen|Videoclips: {}|Video {}",
        """{} in kurzen Videos erkennen|Videos nach {} klassifizieren|in Videoclips {} unterscheiden|
        Bildfolgen nach {} einteilen""",
    ),
    "text_binary": phrases(
        """Filmkritiken|Hotelbewertungen|Tweets|Produktbewertungen|Kommentare|Kundenmeinungen|
        Restaurantkritiken|Buchkritiken|Umfrageantworten|Rezensionen|App-Bewertungen|Patientenmeinungen""",
        "Stimmung {}|{} positiv oder negativ|Sentiment {}|Stimmungsanalyse {}|{} gut oder schlecht",
        """{} als positiv oder negativ einstufen|die Stimmung in Texten der Art {} vorhersagen|gute und
        schlechte {} unterscheiden|die Meinung in {} erkennen""",
    ),
    "text_flags": phrases(
        """Spam|Falschmeldungen|Hassrede|Sarkasmus|Phishing-Mails|Werbung|Beleidigungen|Mobbing|
        Betrugsversuche|dringende Anfragen|Gerüchte|Plagiate|Clickbait|unseriöse Stellenanzeigen""",
        "{} filtern|{}-Filter|{} in Nachrichten erkennen|Texte: {} ja oder nein|{} aussortieren",
        "{} in Texten erkennen|{} herausfiltern|Nachrichten auf {} prüfen|in Kommentaren {} finden",
    ),
    "text_classes": phrases(
        """Nachrichtenthemen|E-Mails|Kundenanfragen|Stellenanzeigen|Beschwerden|Rechtstexte|Arztbriefe|
        Buchgenres|Sprachen|Patente|Emotionen in Texten|Fehlerberichte|Rezepte|Fragen|Absichten von
        Nutzern|Produktbeschreibungen|Rechnungstexte|Gerichtsurteile""",
        "{} sortieren|{} klassifizieren|Textklassifikation {}|{} nach Thema|{} zuordnen",
        """{} nach ihrem Text klassifizieren|{} in Kategorien einteilen|{} automatisch nach Thema sortieren|
        anhand des Textes {} zuordnen""",
    ),
    "text_generation": phrases(
        """Namen|Gedichte|Liedtexte|Witze|Rezepte|Schlagzeilen|Romane|Haikus|Märchen|Vornamen|Bandnamen|
        Ortsnamen|Sprüche|Reden|Horoskope|Dialoge|Werbesprüche|Rätsel|Geschichten""",
        "{} generieren|{} schreiben|Generator für {}|neue {}|Sprachmodell {}|{} erfinden",
        """neue {} schreiben|{} Buchstabe für Buchstabe erzeugen|{} erfinden|mit einem Sprachmodell {}
        generieren|Wort für Wort {} schreiben""",
    ),
    "translation": phrases(
        """Englisch nach Deutsch|Deutsch nach Englisch|Französisch nach Deutsch|Spanisch nach Deutsch|
        Deutsch nach Polnisch|Italienisch nach Deutsch|Englisch nach Russisch|Latein nach Deutsch|
        Deutsch nach Türkisch|Chinesisch nach Englisch|Niederländisch nach Deutsch""",
        "{}|Übersetzung {}|{} übersetzen|Übersetzer {}|maschinelle Übersetzung {}",
        """Sätze von {} übersetzen|Texte von {} übersetzen|kurze Sätze von {} mit Attention übersetzen""",
    ),
    "summaries": phrases(
        """Nachrichten|Forschungsartikel|Protokolle|lange E-Mails|Rechtstexte|Bücher|Berichte|Interviews|
        Krankenakten|Chatverläufe|Vorlesungen|Urteile|Blogbeiträge|Pressemitteilungen|Geschäftsberichte""",
        "{} zusammenfassen|Zusammenfassung {}|{} kürzen|Kurzfassung {}|Überschriften für {}",
        """{} zusammenfassen|{} auf zwei Sätze kürzen|Überschriften für {} schreiben|{} automatisch
        zusammenfassen|kurze Fassungen langer {} schreiben""",
    ),
    "answering": phrases(
        """Handbüchern|Verträgen|Wikipedia-Artikeln|medizinischen Texten|Schulbüchern|Gesetzen|Produktseiten|
        Nachrichten|Hilfeseiten|Richtlinien|Geschichtstexten|Kochbüchern|Anleitungen""",
        "Fragen zu {}|Fragen zu {} beantworten|Antworten aus {}|QA zu {}|Frage-Antwort-System {}",
        """Fragen zu {} beantworten|die Antwort auf eine Frage in {} finden|in {} die passende Textstelle zu
        einer Frage markieren""",
    ),
    "tagging": phrases(
        """Namen|Personen und Orte|Medikamente|Firmen|Datumsangaben|Wortarten|Adressen|Straßennamen|
        Produktnamen|Paragrafen|Krankheiten|Geldbeträge|Zutaten|Fähigkeiten|Gene""",
        "{} in Texten markieren|NER {}|Eigennamenerkennung {}|Entitäten: {}|jedes Wort: {}",
        """{} in Sätzen markieren|{} als Entitäten in Texten erkennen|jedes Wort auf {} prüfen|{} Wort für
        Wort aus Texten herausziehen""",
    ),
    "regression": phrases(
        """Mietpreise|Mieten|Hauspreise|Löhne|Gehälter|Energieverbrauch|Kraftstoffverbrauch|Autopreise|
        Flugpreise|Versicherungskosten|Ernteerträge|Lieferzeiten|Noten|Taxipreise|Lebenserwartung|
        Grundstückspreise|Reparaturkosten|Umsätze von Filialen|Heizkosten|Wasserverbrauch|Fahrzeiten|
        CO2-Ausstoß von Autos|Krankenkosten|Betonfestigkeit|Solarertrag|Milchleistung|Blutzucker""",
        "{}|{} vorhersagen|{} schätzen|Vorhersage {}|Regression {}|{} aus Tabelle|wie hoch {}",
        """{} vorhersagen|{} aus einer Tabelle schätzen|{} anhand einer CSV-Datei vorhersagen|{} aus
        einigen Spalten berechnen|aus Messwerten {} schätzen""",
    ),
    "table_binary": phrases(
        """Kündigungen|Kundenabwanderung|Kreditausfälle|Herzkrankheiten|Diabetes|Schlaganfälle|Betrug|
        Stornierungen|Insolvenzen|Zahlungsverzug|Maschinenausfälle|Studienabbrüche|Flugverspätungen|
        Kaufabsicht|Nierenkrankheiten|Kreditkartenbetrug|Rücksendungen|Überlebende der Titanic|
        Versicherungsfälle|Wiederaufnahmen""",
        "{}|{} vorhersagen|{} ja oder nein|Risiko {}|{} aus Tabelle|Vorhersage: {}",
        """{} aus einer Tabelle vorhersagen|{} anhand von Kundendaten vorhersagen|die Wahrscheinlichkeit für
        {} aus Spalten schätzen|in einer CSV-Datei {} erkennen""",
    ),
    "table_classes": phrases(
        """Weinsorten|Kundengruppen|Bodenarten|Irisarten|Bonitätsstufen|Risikogruppen|Preisklassen|Glasarten|
        Pinguinarten|Blutgruppen|Tarifklassen|Fehlerklassen|Waldtypen|Bohnensorten|Energieklassen|
        Leistungsstufen|Stresslevel""",
        "{} aus Tabelle|{} aus Messwerten|Klassifikation {} Tabelle|{} anhand von Spalten|{} CSV",
        """{} anhand von Messwerten bestimmen|{} aus einer Tabelle vorhersagen|Datensätze nach {} einteilen|
        aus tabellarischen Daten {} bestimmen""",
    ),
    "forecasting": phrases(
        """Stromverbrauch|Aktienkurse|Temperaturen|das Wetter|Niederschlag|Verkehr|Absatz|Fahrgastzahlen|
        Gasverbrauch|Windleistung|Pegelstände|Wechselkurse|Goldpreise|Besucherzahlen|Anrufzahlen|
        Luftqualität|Solarleistung|Serverlast|Lagerbestände|Arbeitslosigkeit|Inflation|Strompreise|
        Parkplatzbelegung|Zugverspätungen""",
        "{} morgen|Prognose {}|{} prognostizieren|Zeitreihe {}|{} nächste Woche|Zeitreihenprognose {}",
        """{} für die nächsten Tage prognostizieren|{} aus der Vergangenheit vorhersagen|mit einem LSTM
        {} prognostizieren|{} für die kommende Woche vorhersagen|den Verlauf fortsetzen und {}
        prognostizieren""",
    ),
    "series_classes": phrases(
        """EKG-Signale|Herzschläge|EEG-Aufnahmen|Schlafphasen|Beschleunigungsdaten|Motorschwingungen|
        Lagerschäden|Lastkurven|Gangmuster|Muskelsignale|Atemmuster|Fahrstile|Sensorverläufe|
        Erdbebensignale|Radarechos|Pulswellen""",
        "{} klassifizieren|{} aus Signalen|Signalklassifikation {}|{} zuordnen|Zeitreihenklassifikation {}",
        """{} klassifizieren|{} anhand von Sensorsignalen erkennen|Zeitreihen der Art {} in Klassen
        einteilen|Fenster aus {} klassifizieren""",
    ),
    "audio": phrases(
        """Vogelstimmen|Musikrichtungen|Sprachbefehle|Hundebellen|Stadtgeräusche|Motorgeräusche|Husten|
        Herztöne|Lungengeräusche|Walgesänge|Instrumente|Sprecher|Stimmungen in der Stimme|Akzente|
        Babygeschrei|Maschinengeräusche|Froschrufe|Alarmtöne|Schnarchen|gesprochene Ziffern""",
        "{} am Klang|{} hören|Audio {}|Geräusche: {}|{} in Aufnahmen|Audioklassifikation {}",
        """{} in Tonaufnahmen erkennen|{} am Klang unterscheiden|WAV-Dateien nach {} klassifizieren|anhand
        von Spektrogrammen {} bestimmen""",
    ),
    "speech": phrases(
        """Sprachnachrichten|Telefonate|Besprechungen|Diktate|Podcasts|Vorlesungen|Interviews|Hörbücher|
        gesprochene Sätze|Radionachrichten|Gerichtsverhandlungen|Gespräche|Sprachnotizen""",
        "{} transkribieren|{} zu Text|Spracherkennung {}|Transkription {}|Untertitel für {}",
        """{} transkribieren|{} in Text umwandeln|gesprochene Wörter in {} aufschreiben|mit CTC {} in
        Buchstaben umwandeln""",
    ),
    "recommendation": phrases(
        """Filme|Bücher|Lieder|Produkte|Restaurants|Rezepte|Spiele|Kurse|Jobs|Artikel|Podcasts|Weine|Hotels|
        Reisen|Apps|Serien|Museen|Geschenke|Brettspiele|Kosmetika""",
        "{} empfehlen|Empfehlungen {}|Empfehlungssystem {}|{} vorschlagen|welche {} als Nächstes",
        """Nutzern {} empfehlen|passende {} vorschlagen|Bewertungen von Nutzern für {} vorhersagen|aus
        Bewertungen lernen und {} empfehlen""",
    ),
    "anomaly": phrases(
        """Sensordaten|Kartenzahlungen|Netzwerkverkehr|Serverlogs|Maschinendaten|Überweisungen|
        Anmeldeversuchen|Stromnetzen|Pumpendaten|Turbinendaten|Rechnungen|Prozessdaten|Telemetrie|
        Zählerständen|Produktionsdaten|Reisekosten""",
        "Anomalien in {}|Ausreißer in {}|Anomalieerkennung {}|Auffälligkeiten in {}|Störungen in {}",
        """Anomalien in {} erkennen|Ausreißer in {} finden|ungewöhnliche Werte in {} melden|mit einem
        Autoencoder Störungen in {} finden""",
    ),
    "agent": phrases(
        """Snake|Schach|Tic-Tac-Toe|Pong|Vier gewinnt|Blackjack|Tetris|Poker|Dame|Mühle|Mario|Flappy Bird|
        Breakout|Skat|Reversi""",
        "{} spielen|Agent für {}|DQN {}|Bot für {}|bestärkendes Lernen {}|{} lernen",
        """mit bestärkendem Lernen {} spielen|durch Versuch und Irrtum {} spielen lernen|einem Agenten {}
        beibringen|mit Q-Learning {} spielen""",
    ),
    "graph": phrases(
        """Zitationsgraphen|sozialen Netzwerken|Molekülgraphen|Proteinnetzen|Straßennetzen|Wissensgraphen|
        Handelsnetzen|Zahlungsgraphen|Stromnetzgraphen|Freundschaftsgraphen|Lieferketten-Graphen""",
        "Knoten in {}|GNN für Knoten in {}|Graphnetz: {}|Knotenklassifikation {}|Graph-Lernen mit {}",
        """Knoten in {} klassifizieren|auf {} mit Graph-Faltungen lernen|die Klasse jedes Knotens in {}
        vorhersagen|mit einem Graphnetz Knoten in {} klassifizieren""",
    ),
}
