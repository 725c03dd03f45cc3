"""Requests of our own that no deep-learning project answers: what the planner is to be unsure about.

Errands, trivia, small talk, ordinary programming, and talk about networks without a task for one. Left out
is what a text or image model would answer on the spot ("write a poem about rain"): it reads like a task.
"""

import random

from export.own_phrases import Phrases, phrases
from export.own_sketches import pick
from export.own_wording import in_some_case, with_chatter, with_typing_errors

# Tasks in the infinitive, which take the frames of a real requirement.
_ERRANDS = (
    phrases(
        """a chocolate cake|sourdough bread|pancakes|a lasagne|vegetable soup|fried rice|an apple
        pie|a birthday cake|scrambled eggs|pizza dough|a curry|gingerbread|potato salad|lemonade|
        a roast chicken""",
        "",
        "bake or cook {}|make {} for ten guests|prepare {} without butter|cook {} for dinner",
    ),
    phrases(
        """a flight to Lisbon|a table for two|a dentist appointment|a train ticket to Vienna|a hotel
        near the station|a rental car|theatre seats|a taxi for six o'clock|a plumber|a meeting room|
        a yoga class|a moving van|a haircut|a campsite""",
        "",
        "book {}|reserve {}|cancel {}|find a cheap offer for {}|arrange {} for my parents",
    ),
    phrases(
        """my printer|a leaking tap|the washing machine|a flat tyre|my bicycle chain|a squeaky door|
        the wifi at home|a broken zip|the dishwasher|the headphones|a cracked phone screen|the
        heating|a loose shelf|the lawn mower|a dripping gutter|the garage door""",
        "",
        "fix {}|repair {}|get {} working again|find someone who mends {}|replace {}",
    ),
    phrases(
        """the kitchen|my desk|a wardrobe|the garden|a birthday party|a wedding|our holiday in
        Norway|the move to a new flat|my week|a picnic|a treasure hunt for children|the office
        Christmas party|a stamp collection|my bookshelves""",
        "",
        "plan {}|tidy up {}|organise {}|make a checklist for {}|save money on {}",
    ),
    phrases(
        """the piano|Spanish|to swim|to knit|chess openings|first aid|to juggle|the guitar|to
        type faster| calligraphy|to ride a horse|to tie knots|sign language as a beginner|to ski""",
        "",
        "learn {} as an adult|teach my daughter {}|practise {} every day|find a course for {}",
    ),
    phrases(
        """my landlord|the tax office|my boss|the bank|a friend in hospital|the insurance|the
        school of my son| the neighbours|customer service|the town council|an old colleague|the
        football club""",
        "",
        """write a letter to {}|call {}|complain to {}|send flowers to {}|apologise to {}|make an
        appointment with {}|ask {} for a refund""",
    ),
    phrases(
        """milk and eggs|a birthday present|winter boots|a used sofa|concert tickets|dog food|a new
        kettle|paint for the fence|tulip bulbs|a sleeping bag|toner|light bulbs|a raincoat|
        firewood""",
        "",
        "buy {}|order {} online|put {} on the shopping list|return {} to the shop|compare offers for {}",
    ),
    phrases(
        """my sore back|a headache|better sleep|losing weight|a marathon|stronger arms|stress at
        work|dry skin| hay fever|a cold|tired feet|a sunburn""",
        "",
        """do something about {}|find a home remedy for {}|get a training schedule for {}|ask a doctor
        about {}""",
    ),
    phrases(
        """walk the dog|water the plants|feed the cat|mow the lawn|iron shirts|fold a paper boat|
        light a campfire| change a light bulb|remove a wine stain|get chewing gum out of hair|sharpen
        a kitchen knife|prune roses|build a tree house|hang a picture straight|descale a coffee
        machine|unblock a drain|plant potatoes|knit a scarf|sew on a button|carve a pumpkin|pack a
        suitcase|parallel park|jump-start a car""",
        "",
        "{}|{} properly|{} this weekend|{} before it rains",
    ),
    phrases(
        """sort a list|reverse a string|read a CSV file|remove duplicates from an array|parse a date|
        find the maximum of a list|merge two dictionaries|count the lines of a file|check for a
        palindrome|print the Fibonacci numbers|rename a thousand files|compute a factorial|split a
        string at commas|shuffle a deck of cards|convert Celsius to Fahrenheit|add two matrices by
        hand|swap two variables|format a number with two decimals|catch an exception|send an e-mail
        with an attachment|download a web page| resize a window|write a unit test|read a JSON file|
        make a loop""",
        "",
        "{} in Python|{} in Java|{} in C++|{} with a shell script|{} in JavaScript|{} in Rust",
    ),
    phrases(
        """a SQL join|a landing page|a REST API|a login form|a todo app|a calculator|a shop with a
        basket|a Docker file|a cron job|a regular expression for phone numbers|a browser extension|a
        spreadsheet formula|a backup script|a chess clock|a booking calendar|a makefile|a stopwatch
        app|an index for a database table|a wiki for our team|a guest book|an invoice template|a
        pivot table|a web scraper|a QR code""",
        "",
        "write {}|build {}|set up {}|debug {}|explain {} to me|improve {}|make {} for our club",
    ),
    phrases(
        """feed birds in winter|pick mushrooms|sell my house|sell my car|watch a movie tonight|hang
        up holiday photos|print photos on canvas|record a podcast|crop a photo in GIMP|convert wav to
        mp3|cut a video clip|frame a painting|catch fish|arrange flowers|sort my receipts|draw a
        bar chart of sales|average a column in Excel|join two tables|count words in a document|read
        the newspaper|file customer reviews| rent a bike|charge my phone|wash vegetables|raise my
        wages|lower my rent|insure a motorbike|check the mileage of a car|hang a bird house|take
        passport pictures|cancel a subscription|find my glasses|adopt a cat|train a puppy|train for
        a race|train new staff|model clay|model for a magazine""",
        "",
        "{}|{} without help|{} cheaply",
    ),
    phrases(
        """git|nginx|a router|Windows 11|a mail server|a Raspberry Pi|PostgreSQL|VPN access|
        two-factor login|a network drive|Bluetooth|Kubernetes|CUDA drivers|TensorFlow|PyTorch|
        conda|a second monitor""",
        "",
        "install {}|configure {}|uninstall {}|update {}|find out why {} does not start|reset {}",
    ),
)
# Whole requests.
_QUESTIONS = (
    phrases(
        """France|Mongolia|Peru|Kenya|New Zealand|Iceland|Vietnam|Bolivia|Portugal|Canada|
        Morocco|Estonia|Nepal""",
        """what is the capital of {}?|capital of {}|how many people live in {}|which languages do they
        speak in {}|do I need a visa for {}|when is the best time to visit {}|what is the currency of
        {}|flag of {}""",
        "",
    ),
    phrases(
        """Napoleon|Marie Curie|Cleopatra|Mozart|Ada Lovelace|Galileo|Frida Kahlo|Gandhi|
        Beethoven|Shakespeare""",
        "who was {}?|when was {} born|how old did {} get|what is {} famous for|{} biography",
        "",
    ),
    phrases(
        """the sky blue|the sea salty|water wet|gold so expensive|a year 365 days long|the moon
        round|ice slippery| bread soft|coffee bitter|blood red|chalk white|February so short""",
        "why is {}?|why is {} anyway",
        "",
    ),
    phrases(
        """photosynthesis|inflation in economics|a black hole|the offside rule|democracy|a mortgage|
        gravity|a leap year|a neural network|backpropagation|a GPU|overfitting|the difference
        between AI and ML|a tensor|the stock exchange|compound interest|a haiku in general|a sonata|
        the water cycle""",
        "what is {}?|explain {}|define {}|{} for beginners|tell me about {}|what does {} mean",
        "",
    ),
    phrases(
        """the next train|the library|the nearest pharmacy|my order|the post office|the swimming
        pool|lunch|the football match|the next holiday|the supermarket|sunset""",
        "when is {}?|where is {}?|is {} open today|how late is {}",
        "",
    ),
    phrases(
        """hello|hi|good morning|how are you?|thanks|test|asdf|qwertz|foo bar|lorem ipsum dolor
        sit amet|help|ok| yes|no|I am bored|tell me something|what can you do?|who are you?|good
        night|see you tomorrow|1 2 3| blah blah|happy birthday|I love you|what time is it?|
        nothing|never mind|please|why?|x|undo that| stop|open the door|call me later|my name is
        Tom|are you a robot?|sing a song|tell a joke|I am hungry| lunch?|???|...|read me the
        news|turn on the light|play some jazz|set an alarm for seven|add milk to my list|what should
        I wear|how much is 17 times 23|square root of 144|50 euros in dollars|convert miles to
        kilometres|what day is Christmas|open the pod bay doors|flip a coin|roll a dice|spell
        necessary| my password does not work|delete my account|where is my parcel?|I want to speak to
        a human""",
        "{}",
        "",
    ),
)
_GERMAN = (
    phrases(
        """einen Kuchen backen|eine Suppe kochen|den Drucker reparieren|einen Flug nach Rom buchen|
        einen Tisch reservieren|die Waschmaschine anschließen|das Fahrrad flicken|Blumen gießen|eine
        Hochzeit planen| Klavier lernen|das Finanzamt anrufen|einen Brief an den Vermieter schreiben|
        Milch kaufen|den Rasen mähen|die Küche streichen|einen Umzug organisieren|eine Liste in
        Python sortieren|eine Tabelle in Excel anlegen|eine Webseite bauen|einen SQL-Join schreiben|
        Git installieren|ein Passwort zurücksetzen|den Router einrichten|Dateien umbenennen|eine
        Rechnung schreiben|zum Zahnarzt gehen| einen Knopf annähen|Kartoffeln pflanzen|das Auto
        waschen|einen Koffer packen|einen Fleck entfernen| die Heizung entlüften|Geschenke einpacken|
        den Hund ausführen""",
        """{}|Ich möchte {}|Wie kann ich {}?|Hilf mir, bitte: {}|Kannst du {}?|Ich muss morgen {}|
        Wir wollen {}|{} ohne Werkzeug|Anleitung: {}""",
        "",
    ),
    phrases(
        """Hallo|Guten Morgen|Wie geht es dir?|Wer bist du?|Was ist die Hauptstadt von Frankreich?|
        Wie spät ist es?|Warum ist der Himmel blau?|Wann fährt der nächste Zug?|Was koche ich heute?|
        Wer war Mozart?|Erzähl einen Witz|Danke|Ich habe Hunger|Wie alt wird ein Esel?|Was kostet
        ein Brief nach Spanien?|Wo ist die nächste Apotheke?|Was ist ein neuronales Netz?|Was bedeutet
        Inflation?|Wie viel ist 17 mal 23?|Mach das Licht an|Stell den Wecker auf sieben|Mein
        Internet geht nicht""",
        "{}",
        "",
    ),
)
_FRAMES = (
    "{}",
    "{}",
    "{}",
    "how do I {}?",
    "how can I {}?",
    "can you {}?",
    "please {}",
    "help me {}",
    "I want to {}",
    "I need to {}",
    "we would like to {}",
    "what do I need to {}?",
    "could you {} for me?",
    "give me tips to {}",
    "my goal is to {}",
    "is it hard to {}?",
    "write a guide how to {}",
    "remind me to {}",
)


def no_task_requirements(count: int, seed: int) -> list[str]:
    """Return `count` different requests that are no deep-learning task, at most some 20,000.

    The same seed gives the same ones.
    """
    rng = random.Random(seed)
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[_request(rng)] = None
    return list(texts)


def _request(rng: random.Random) -> str:
    draw, german = rng.random(), False
    if draw < 0.55:
        text = pick(rng, *_FRAMES).format(_filled(pick(rng, *_ERRANDS), True, rng))
    elif draw < 0.8:
        text = _filled(pick(rng, *_QUESTIONS), False, rng)
    else:
        text, german = _filled(pick(rng, *_GERMAN), False, rng), True
    draw = rng.random()
    if draw < 0.12:
        return with_chatter(text, german, rng)
    text = in_some_case(text, rng)
    return with_typing_errors(text, rng) if draw < 0.25 else text


def _filled(words: Phrases, errand: bool, rng: random.Random) -> str:
    return pick(rng, *(words.tasks if errand else words.short)).format(pick(rng, *words.nouns))
